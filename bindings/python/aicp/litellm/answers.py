"""Answers of models: changed texts put back into LiteLLM's objects, usage and cost read from them."""

from __future__ import annotations

import logging
from decimal import Decimal, InvalidOperation
from typing import Any, Dict, Mapping, MutableMapping, MutableSequence, Optional

from ..cost import Tokenizer, Usage, parse_usage, token_profile
from ..errors import AicpError
from .identity import to_json

log = logging.getLogger("aicp.litellm")

_TOKENIZERS: Dict[str, Tokenizer] = {}
_NANO = Decimal(1_000_000_000)


def dump(answer: Any) -> Optional[Any]:
    """An answer as plain data; None for one that is not data (a file, a stream)."""
    if isinstance(answer, (dict, list)):
        return answer
    make = getattr(answer, "model_dump", None)
    return make(mode="json", exclude_none=True) if make is not None else None


def merge(answer: Any, new: Any) -> Any:
    """Puts the texts of ``new``, plain data of the same shape, into ``answer`` in place and returns
    it; what has no changed text in it stays the same object."""
    if isinstance(answer, str) or answer is None:
        return new if isinstance(new, str) else answer
    if isinstance(new, Mapping):
        for key, value in new.items():
            old = answer.get(key) if isinstance(answer, Mapping) else getattr(answer, key, None)
            if old is None or not isinstance(value, (str, dict, list)):
                continue
            changed = merge(old, value)
            if changed is old:
                continue
            if isinstance(answer, MutableMapping):
                answer[key] = changed
            else:
                setattr(answer, key, changed)
    elif isinstance(new, list) and isinstance(answer, MutableSequence):
        for i, value in enumerate(new[: len(answer)]):
            changed = merge(answer[i], value)
            if changed is not answer[i]:
                answer[i] = changed
    return answer


def usage_of(answer: Any) -> Optional[Usage]:
    """The usage that an answer reports, None when it reports none. LiteLLM fills in zeros where it
    does not know (text completions streamed without include_usage): that is no report."""
    found = answer.get("usage") if isinstance(answer, Mapping) else getattr(answer, "usage", None)
    if found is None:
        return None
    plain = dump(found)
    if not plain:
        return None
    try:
        usage = parse_usage(to_json(plain))
        return usage if any(usage.values()) else None
    except AicpError as error:
        log.warning("usage of an answer cannot be read: %s", error)
        return None


def count(model: str, text: str) -> int:
    """Tokens of a text as the model would count them."""
    encoding = token_profile(model).encoding
    tokenizer = _TOKENIZERS.get(encoding)
    if tokenizer is None:
        tokenizer = _TOKENIZERS[encoding] = Tokenizer(encoding)
    return tokenizer.count(text)


def nano_of(cost: Any) -> Optional[int]:
    """LiteLLM's cost, a float in dollars, in nano-dollars; None when it says nothing, or 0, which
    it also says for models whose price it does not know."""
    if cost is None:
        return None
    try:
        nano = int((Decimal(str(cost)) * _NANO).to_integral_value(rounding="ROUND_HALF_UP"))
    except (InvalidOperation, ValueError, OverflowError):
        return None
    return nano if nano > 0 else None
