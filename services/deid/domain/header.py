"""The header of one object, cleaned."""

from collections import Counter
from collections.abc import Iterable, Iterator

from services.deid.domain.cleaning import Cleaner
from services.deid.domain.coincidences import is_left
from services.deid.domain.dataset import Element, Elements
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.memo import Memo
from services.deid.domain.record import Step
from services.deid.domain.stretch import Context, Made, Out, Steps, Stretch
from services.deid.domain.withholding import Reason, Withheld


class CleanHeader:
    """What goes out of a header (``elements``), and what was done (``steps``, which nobody may change)."""

    def __init__(self, stretches: Iterable[Stretch], context: Context, memo: Memo) -> None:
        self._context = context
        self._memo = memo
        self._kept: dict[int, Out] = {}
        cleaner, kept = context.cleaner(), self._kept
        self.steps: Counter[Step] = memo.total(self._clean(stretches, cleaner))
        kept.update(context.own)
        self.elements: Elements = cleaner.contents.whole(tuple([kept[tag].element for tag in sorted(kept)]))

    def _clean(self, stretches: Iterable[Stretch], cleaner: Cleaner) -> Iterator[Steps]:
        for stretch in stretches:
            made = stretch.made.get(self._context) or self._made(stretch, cleaner)
            self._kept.update(made.kept)
            yield from made.steps

    def _made(self, stretch: Stretch, cleaner: Cleaner) -> Made:
        """What becomes of a stretch that is new in this context, element by element."""
        if not stretch.parts:
            made = self._made_of_one(stretch, cleaner)
        else:
            parts = [part.made.get(self._context) or self._made(part, cleaner) for part in stretch.parts]
            kept = {tag: out for part in parts for tag, out in part.kept.items()}
            made = Made(kept, tuple(steps for part in parts for steps in part.steps))
        self._memo.keep_made(stretch, self._context, made)
        return made

    def _made_of_one(self, stretch: Stretch, cleaner: Cleaner) -> Made:
        cleaned = cleaner.element(stretch.elements[0], self._context.level)
        notes = cleaner.record.taken()
        kept = {each.tag: Out(each, self._context.encoding) for each in cleaned if each is not None}
        return Made(kept, (self._memo.steps(notes),) if notes else ())

    def encoded(self, elements: Elements, uids: Identifiers) -> bytes:
        """``elements``, which have become of those of this header since, encoded; in the order of tags.

        Raises Withheld when an identifier, or one of the original ``uids``, is in them where it is no coincidence. What
        was searched before in this context is not searched again.
        """
        outs = [self._out(element) for element in elements]
        data = b"".join([out.encoded for out in outs])
        fresh = [out for out in outs if not out.is_proven]
        searched = data if len(fresh) == len(outs) else b"".join([out.encoded for out in fresh])
        names = self._context.names
        if uids.has_uid(data) or (names.in_header(searched) and is_left(elements, names, self._context.encoding)):
            raise Withheld(Reason.IDENTIFIER_LEFT)
        for out in fresh:
            out.is_proven = True
        return data

    def _out(self, element: Element) -> Out:
        kept = self._kept.get(element.tag)
        return kept if kept is not None and kept.element is element else Out(element, self._context.encoding)
