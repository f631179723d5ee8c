"""From tokens to text, incrementally: what has been decoded may change with the next token.

Like the sampler it stands between two kernels unless steps are pipelined, because the stop rules
look at the text.
"""

from __future__ import annotations

from serving.config import ServingConfig

TAIL = 440
"""Tokens that are decoded again with each new one: merges reach back."""

STOP_WORDS = ("</s>", "<|end|>")


def make_pieces(size: int) -> list[str]:
    """The text of each token."""
    letters = "etaoinshrdlu"
    pieces = []
    for token in range(size):
        piece = letters[token % 12] + letters[(token // 12) % 12]
        pieces.append(" " + piece if token % 3 == 0 else piece)
    return pieces


class Detokenizer:
    """Keeps the decoded tail of each place in the batch."""

    def __init__(self, config: ServingConfig) -> None:
        self._pieces = make_pieces(config.vocabulary)
        self._tails: list[list[int]] = [[1] * TAIL for _ in range(config.batch_size)]
        self.characters = 0

    def decode(self, tokens: list[int]) -> list[str]:
        """The new text of each place in the batch."""
        texts = []
        for place, token in enumerate(tokens):
            tail = self.extend_tail(place, token)
            text = self.merge_pieces(tail)
            self.characters += len(text)
            texts.append(self.cut_at_stop_word(text))
        return texts

    def extend_tail(self, place: int, token: int) -> list[int]:
        """Slide one place's window of tokens by one."""
        tail = self._tails[place]
        tail.append(token)
        del tail[0]
        return tail

    def merge_pieces(self, tail: list[int]) -> str:
        """The text of a tail, doubled letters across piece borders merged."""
        pieces = self._pieces
        characters: list[str] = []
        for token in tail:
            for letter in pieces[token]:
                if characters and characters[-1] == letter and letter != " ":
                    continue
                if letter == " " and len(characters) % 7 == 0:
                    characters.append("-")
                elif letter in "aeiou" and characters:
                    characters.append(letter.lower())
                else:
                    characters.append(letter)
        return "".join(characters)

    def cut_at_stop_word(self, text: str) -> str:
        """The text up to the first stop word."""
        for word in STOP_WORDS:
            found = text.find(word)
            if found >= 0:
                return text[:found]
        return text
