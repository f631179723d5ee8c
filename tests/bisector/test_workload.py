import os
import sys

import pytest

from bisector.errors import UsageError
from bisector.settings import read_settings
from bisector.workload import BOOTSTRAP, SLOT_VARIABLE, Workload, hash_seed


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "bench.py"
    path.write_text("print('hello')\n")
    return path


def of(script=None, rest=(), **options):
    return Workload.of(read_settings(script, list(rest), options))


@pytest.mark.process
class TestScriptForm:
    def test_it_is_run_by_this_interpreter_as_it_was_named(self, script):
        workload = of(str(script), ["--fast"])
        assert workload.argv == (sys.executable, str(script), "--fast")
        assert workload.python_is_certain

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            ("def f(:\n", "line 1: syntax error: invalid syntax; mend it first"),
            ("x = 1\n  y = 2\n", "line 2: syntax error: unexpected indent"),
            (b"\x7fELF\x00\x00", "is not Python (it is a binary file)"),
            (b"caf\xe9 = 1\n", "is not Python: "),
            ("#!/bin/sh\nset -e\ncd /tmp && ls\n", "syntax error"),
        ],
    )
    def test_what_is_not_python_is_said_beforehand(self, script, content, complaint):
        script.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(UsageError) as caught:
            of(str(script))
        assert complaint in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_missing_path_and_a_directory_are_said_beforehand(self, tmp_path):
        with pytest.raises(UsageError, match=r"gone\.py: there is no such file in "):
            of("gone.py")
        with pytest.raises(UsageError, match="is a directory; name the script in it"):
            of(str(tmp_path))

    def test_a_syntax_of_the_targets_own_python_decides(self, script):
        script.write_text("type X = int\n")  # 3.12
        if sys.version_info >= (3, 12):
            of(str(script))
        else:
            with pytest.raises(UsageError, match="syntax error"):
                of(str(script))

    def test_an_interpreter_is_tried_by_running_it(self, script, tmp_path):
        shim = tmp_path / "python3.99"
        shim.write_text("#!/bin/sh\necho 'version not selected' >&2\nexit 127\n")
        shim.chmod(0o755)
        complaint = r"python3\.99 does not work as a Python interpreter \(version not selected\)"
        with pytest.raises(UsageError, match=complaint):
            of(str(script), python=str(shim))
        with pytest.raises(UsageError, match=complaint):
            of(rest=[str(shim), str(script)])
        with pytest.raises(UsageError, match="'nosuchpython' is not a program"):
            of(str(script), python="nosuchpython")

    def test_a_python_that_is_too_old_is_named(self, script, tmp_path):
        old = tmp_path / "python3"
        old.write_text("#!/bin/sh\necho '{\"version\": [3, 9, 18]}'\n")
        old.chmod(0o755)
        with pytest.raises(UsageError, match=r"is Python 3\.9; 3\.11 is the oldest"):
            of(str(script), python=str(old))


class TestCommandForm:
    def test_it_is_run_as_given(self):
        workload = of(rest=[sys.executable, "-m", "package"])
        assert workload.argv == (sys.executable, "-m", "package")
        assert workload.python == sys.executable
        assert workload.python_is_certain

    def test_the_interpreter_behind_another_program_is_a_guess(self):
        workload = of(rest=["sh", "-c", "python bench.py"])
        assert workload.python == sys.executable
        assert not workload.python_is_certain

    def test_a_program_that_is_not_there_is_said_beforehand(self):
        with pytest.raises(UsageError, match="nosuchprogram: there is no such program"):
            of(rest=["nosuchprogram"])


class TestEnvironment:
    def test_the_injector_comes_first_and_the_users_own_path_stays(self, tmp_path):
        workload = of(rest=["true"], env=["PYTHONPATH=/mine"])
        environment = workload.environment_for(tmp_path, seed=1, block=1)
        assert environment["PYTHONPATH"] == f"{BOOTSTRAP}{os.pathsep}/mine"
        assert environment[SLOT_VARIABLE] == str(tmp_path)

    def test_its_size_is_the_same_in_every_block(self, tmp_path):
        workload = of(rest=["true"])
        sizes = {
            sum(len(k) + len(v) for k, v in workload.environment_for(tmp_path, 3, block).items())
            for block in range(200)
        }
        assert len(sizes) == 1

    def test_runs_of_a_block_share_the_hash_seed_unless_the_user_fixed_it(self, tmp_path):
        workload = of(rest=["true"])
        first, same, other = (workload.environment_for(tmp_path, 3, b) for b in (1, 1, 2))
        assert first["PYTHONHASHSEED"] == same["PYTHONHASHSEED"] != other["PYTHONHASHSEED"]
        fixed = of(rest=["true"], env=["PYTHONHASHSEED=0"])
        assert fixed.environment_for(tmp_path, 3, 1)["PYTHONHASHSEED"] == "0"

    @pytest.mark.parametrize("block", range(20))
    def test_a_hash_seed_is_one_that_python_takes(self, block):
        assert len(hash_seed(1, block)) == 10
        assert int(hash_seed(1, block)) <= 4294967295


class TestWhyNothingAttached:
    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (["-I", "x.py"], "python -I ignores PYTHONPATH"),
            (["-E", "x.py"], "python -E ignores PYTHONPATH"),
            (["-uS", "x.py"], "python -S ignores site"),
            (["x.py", "-I"], "the interpreter did not load the injector"),
        ],
    )
    def test_options_that_isolate_the_interpreter_are_named(self, words, reason):
        assert reason in of(rest=[sys.executable, *words]).why_nothing_attached()

    def test_a_command_that_clears_the_environment_is_named(self):
        reason = of(rest=["env", "-i", "python", "x.py"]).why_nothing_attached()
        assert "must hand PYTHONPATH on" in reason

    def test_a_command_that_is_no_python_is_named(self):
        assert "sh seems to start no Python 3.11" in of(rest=["sh", "x"]).why_nothing_attached()
