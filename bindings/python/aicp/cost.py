"""Token counts, prices, estimates before a call and charges after it.

    prices = PriceTable(open("model_prices_and_context_window.json", "rb").read())
    quote = prices.estimate('{"model": "gpt-4o", "messages": [...]}')
    quote.cost_max_nano
    prices["gpt-4o"].cost({"prompt_tokens": 1000, "completion_tokens": 50}).total_nano

Money is in nano-dollars (1e-9 USD), as whole numbers.
"""

from __future__ import annotations

import json
import sys
from array import array
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from . import _aicp as _c
from ._handle import Handle, given

Text = Union[str, bytes]
Usage = Dict[str, int]

_SPECIAL = {
    "none": _c.AICP_SPECIAL_ORDINARY,
    "all": _c.AICP_SPECIAL_ALLOW,
    "strict": _c.AICP_SPECIAL_STRICT,
}
_TIERS = {
    "standard": _c.AICP_TIER_STANDARD,
    "priority": _c.AICP_TIER_PRIORITY,
    "flex": _c.AICP_TIER_FLEX,
    "batch": _c.AICP_TIER_BATCH,
    "balanced": _c.AICP_TIER_BALANCED,
    "ultrafast": _c.AICP_TIER_ULTRAFAST,
}
_UPLIFTS = {
    "none": _c.AICP_UPLIFT_NONE,
    "eu": _c.AICP_UPLIFT_EU,
    "us": _c.AICP_UPLIFT_US,
    "endpoint": _c.AICP_UPLIFT_ENDPOINT,
    "fast": _c.AICP_UPLIFT_FAST,
    "geo_us": _c.AICP_UPLIFT_GEO_US,
}
_KINDS = {
    "chat": _c.AICP_CALL_CHAT,
    "completion": _c.AICP_CALL_COMPLETION,
    "embedding": _c.AICP_CALL_EMBEDDING,
    "responses": _c.AICP_CALL_RESPONSES,
}
_DETAILS = {
    "auto": _c.AICP_DETAIL_AUTO,
    "low": _c.AICP_DETAIL_LOW,
    "high": _c.AICP_DETAIL_HIGH,
    "original": _c.AICP_DETAIL_ORIGINAL,
}
PARTS: Tuple[str, ...] = tuple(_c.aicp_cost_part_name(i) for i in range(_c.AICP_PART_COUNT))


def parse_money(amount: Union[str, int, Decimal]) -> int:
    """US dollars as decimal text ("0.0000125") to nano-dollars, rounded half away from zero."""
    return _c.aicp_money_parse(amount if isinstance(amount, str) else str(amount))


def format_money(nano: int) -> str:
    """Nano-dollars as exact decimal text in US dollars."""
    return _c.aicp_money_format(nano)


def parse_usage(usage: Union[Text, Mapping[str, Any]]) -> Usage:
    """Reads the ``usage`` object of an answer: OpenAI's two forms and Anthropic's."""
    text = usage if isinstance(usage, (str, bytes)) else json.dumps(dict(usage))
    return _c.aicp_usage_parse(text)


class Tokenizer(Handle):
    """A byte-pair encoding: o200k_base, o200k_harmony or cl100k_base. Any thread may use it."""

    __slots__ = ()

    def __init__(self, name: str = "o200k_base") -> None:
        self._h = _c.aicp_tokenizer_open(name)

    @property
    def name(self) -> str:
        """Name of the encoding."""
        return _c.aicp_tokenizer_name(self._h)

    @property
    def vocab_size(self) -> int:
        """One more than the highest id."""
        return _c.aicp_tokenizer_vocab_size(self._h)

    def count(self, text: Text, *, special: str = "none") -> int:
        """Number of tokens. ``special``: texts of special tokens are plain, tokens or errors."""
        return _c.aicp_tokenizer_count(self._h, text, _SPECIAL[special])

    def encode(self, text: Text, *, special: str = "none") -> List[int]:
        """The ids of the tokens."""
        ids = array("I")
        ids.frombytes(_c.aicp_tokenizer_encode(self._h, text, _SPECIAL[special]))
        return ids.tolist()

    def decode(self, ids: Sequence[int]) -> bytes:
        """The bytes of the ids; may cut a character."""
        return _c.aicp_tokenizer_decode(self._h, ids)

    def truncate(self, text: Text, max_tokens: int) -> Tuple[str, int]:
        """The longest beginning of at most that many tokens, and its count."""
        raw = text.encode() if isinstance(text, str) else bytes(text)
        size, tokens = _c.aicp_tokenizer_truncate(self._h, raw, max_tokens)
        return raw[:size].decode("utf-8", "replace"), tokens


class TokenProfile(NamedTuple):
    """How the requests of a model are counted."""

    family: str
    encoding: str
    quality: str


def token_profile(model: str) -> TokenProfile:
    """The counting rules of a model name."""
    profile = _c.aicp_token_profile_find(model)
    return TokenProfile(
        _c.aicp_token_profile_family(profile),
        _c.aicp_token_profile_encoding(profile),
        _c.aicp_count_quality_name(_c.aicp_token_profile_quality(profile)),
    )


@dataclass(frozen=True)
class TokenCount:
    """Input tokens with their range and parts."""

    low: int
    tokens: int
    high: int
    text: int
    overhead: int
    tools: int
    images: int
    quality: str
    factor_permille: int


@dataclass(frozen=True)
class Quote:
    """What a request may cost, in nano-dollars; ``cost_max_nano`` is what to reserve."""

    input: TokenCount
    output_cap: int
    output_p50: int
    output_p95: int
    answers: int
    cost_input_nano: int
    cost_expected_nano: int
    cost_p95_nano: int
    cost_max_nano: int
    expected_from_history: bool


class CostPart(NamedTuple):
    """One row of a charge. ``price_femto`` is the price of one token in 1e-15 USD."""

    nano: int
    quantity: int
    price_femto: int


@dataclass(frozen=True)
class Cost:
    """A charge whose parts add up to ``total_nano``."""

    total_nano: int
    parts: Dict[str, CostPart]


def _count(fields: Dict[str, Any]) -> TokenCount:
    fields["quality"] = _c.aicp_count_quality_name(fields["quality"])
    return TokenCount(**fields)


def _quote(fields: Dict[str, Any]) -> Quote:
    fields["input"] = _count(fields["input"])
    fields["expected_from_history"] = bool(fields["expected_from_history"])
    return Quote(**fields)


def _options(
    tier: str, uplift: str, wall_ns: int, output_p50: int, output_p95: int
) -> Dict[str, int]:
    return {
        "tier": _TIERS[tier],
        "uplift": _UPLIFTS[uplift],
        "wall_ns": wall_ns,
        "output_p50": output_p50,
        "output_p95": output_p95,
    }


class ModelList(Handle):
    """Models by name with aliases and fallback chains. Immutable."""

    __slots__ = ()

    def __init__(self, text: Text) -> None:
        self._h = _c.aicp_model_list_parse(text)

    def __len__(self) -> int:
        return _c.aicp_model_list_count(self._h)

    def __getitem__(self, name: Union[str, int]) -> Dict[str, Any]:
        h = self._h
        index = _c.aicp_model_list_find(h, name) if isinstance(name, str) else name
        if not 0 <= index < len(self):
            raise IndexError(name)
        return {
            "name": _c.aicp_model_list_name(h, index),
            "provider": _c.aicp_model_list_provider(h, index),
            "litellm_model": _c.aicp_model_list_litellm_model(h, index),
            "price_key": _c.aicp_model_list_price_key(h, index),
            "fallbacks": list(_until_none(_c.aicp_model_list_fallback, h, index)),
        }

    def alias(self, name: str) -> List[str]:
        """The models of an alias group such as "smart"; empty when there is no such group."""
        return list(_until_none(_c.aicp_model_list_alias_member, self._h, name))


def _until_none(get: Any, *args: Any) -> Iterator[str]:
    n = 0
    while True:
        value = get(*args, n)
        if value is None:
            return
        yield value
        n += 1


class Price:
    """The prices of one model. Keeps its table alive."""

    __slots__ = ("_p", "_table")

    def __init__(self, table: Any, price: Any) -> None:
        self._table = table
        self._p = price

    @property
    def key(self) -> str:
        """Key of the price map."""
        return _c.aicp_price_key(self._p)

    @property
    def provider(self) -> str:
        """Provider in LiteLLM's words."""
        return _c.aicp_price_provider(self._p)

    @property
    def mode(self) -> str:
        """Kind of model: chat, embedding …"""
        return _c.aicp_price_mode(self._p)

    @property
    def version(self) -> str:
        """Version of the table."""
        return _c.aicp_price_version(self._p)

    @property
    def valid_from_ns(self) -> int:
        """Wall time from which the price holds; 0 = always."""
        return _c.aicp_price_valid_from_ns(self._p)

    @property
    def max_input_tokens(self) -> Optional[int]:
        """Longest input, None when the map does not say."""
        n = _c.aicp_price_max_input_tokens(self._p)
        return n if n >= 0 else None

    @property
    def max_output_tokens(self) -> Optional[int]:
        """Longest output, None when the map does not say."""
        n = _c.aicp_price_max_output_tokens(self._p)
        return n if n >= 0 else None

    @property
    def deprecation_date(self) -> str:
        """Date from which the model is gone, or empty."""
        return _c.aicp_price_deprecation_date(self._p)

    @property
    def known(self) -> bool:
        """False when no price of the model is known."""
        return bool(_c.aicp_price_known(self._p))

    def femto(self, key: str) -> int:
        """One price by its key in the map ("input_cost_per_token") in 1e-15 USD."""
        return _c.aicp_price_get(self._p, key)

    def cost(
        self,
        usage: Mapping[str, int],
        *,
        tier: str = "standard",
        uplift: str = "none",
        wall_ns: int = 0,
    ) -> Cost:
        """The charge for a usage; see :func:`parse_usage`."""
        options = _options(tier, uplift, wall_ns, 0, 0)
        fields = _c.aicp_cost_of_usage(self._p, dict(usage), options)
        rows = [fields[name] for name in ("part_nano", "quantity", "price_femto")]
        parts = {part: CostPart(*(row[i] for row in rows)) for i, part in enumerate(PARTS)}
        return Cost(fields["total_nano"], parts)

    def __repr__(self) -> str:
        return f"<Price {self.key}>"


class PriceTable(Handle):
    """LiteLLM's price map, and overrides above it. Immutable; any thread may use it."""

    __slots__ = ()

    def __init__(
        self,
        text: Text,
        *,
        base: Optional["PriceTable"] = None,
        models: Optional[ModelList] = None,
        valid_from_ns: Optional[int] = None,
        version: Optional[str] = None,
    ) -> None:
        options = given(
            base=base._h if base is not None else None,
            models=models._h if models is not None else None,
            valid_from_ns=valid_from_ns,
            version=version,
        )
        self._h = _c.aicp_price_table_parse(text, options)

    def __len__(self) -> int:
        return _c.aicp_price_table_count(self._h)

    def __iter__(self) -> Iterator[Price]:
        h = self._h
        for i in range(_c.aicp_price_table_count(h)):
            yield Price(h, _c.aicp_price_table_at(h, i))

    def __getitem__(self, model: str) -> Price:
        return Price(self._h, _c.aicp_price_table_find(self._h, model))

    @property
    def version(self) -> str:
        """Version given, or a hash of the data."""
        return _c.aicp_price_table_version(self._h)

    @property
    def rounded(self) -> int:
        """Prices with more decimals than can be kept."""
        return _c.aicp_price_table_rounded(self._h)

    def estimate(
        self,
        body: Text,
        *,
        tier: str = "standard",
        uplift: str = "none",
        wall_ns: int = 0,
        output_p50: int = 0,
        output_p95: int = 0,
    ) -> Quote:
        """Counts and prices the JSON body of a request."""
        options = _options(tier, uplift, wall_ns, output_p50, output_p95)
        return _quote(_c.aicp_cost_estimate_body(self._h, body, options))


class CostRequest(Handle):
    """The countable parts of a request, read from a body or added one by one. One thread at a time.

    It keeps the texts given until :meth:`reset`.
    """

    __slots__ = ("_texts",)

    def __init__(self, body: Optional[Text] = None) -> None:
        self._texts: List[Text] = []
        self._h = _c.aicp_cost_request_new()
        if body is not None:
            self.parse(body)

    def __del__(self) -> None:
        self.close()  # before the texts that it reads

    def _keep(self, text: Text) -> Text:
        kept = text if isinstance(text, (str, bytes)) else bytes(text)
        self._texts.append(kept)
        return kept

    def reset(self) -> None:
        """Empties the request."""
        _c.aicp_cost_request_reset(self._h)
        self._texts.clear()

    def parse(self, body: Text) -> None:
        """Resets and reads a whole JSON body."""
        self.reset()
        _c.aicp_cost_request_parse(self._h, self._keep(body))

    @property
    def model(self) -> Optional[str]:
        """The model of the request."""
        return _c.aicp_cost_request_model(self._h)

    @model.setter
    def model(self, name: str) -> None:
        _c.aicp_cost_request_set_model(self._h, self._keep(name))

    def set_kind(self, kind: str) -> None:
        """chat, completion, embedding or responses."""
        _c.aicp_cost_request_set_kind(self._h, _KINDS[kind])

    def add_message(self, role: str, text: Optional[Text] = None, name: str = "") -> None:
        """Begins a message."""
        _c.aicp_cost_request_add_message(self._h, self._keep(role))
        if name:
            _c.aicp_cost_request_add_name(self._h, self._keep(name))
        if text is not None:
            self.add_text(text)

    def add_text(self, text: Text) -> None:
        """Adds text to the message, or a prompt of its own."""
        _c.aicp_cost_request_add_text(self._h, self._keep(text))

    def add_tokens(self, count: int) -> None:
        """Adds a prompt that is already tokens."""
        _c.aicp_cost_request_add_tokens(self._h, count)

    def add_image(self, width: int = 0, height: int = 0, *, detail: str = "auto") -> None:
        """Adds an image by its size in pixels."""
        _c.aicp_cost_request_add_image(self._h, width, height, _DETAILS[detail])

    def add_image_url(self, url: Text, *, detail: str = "auto") -> None:
        """Adds an image by its address; nothing is fetched."""
        _c.aicp_cost_request_add_image_url(self._h, self._keep(url), _DETAILS[detail])

    def add_tools(self, tools: Union[Text, Sequence[Mapping[str, Any]]]) -> None:
        """Adds tool definitions."""
        text = tools if isinstance(tools, (str, bytes)) else json.dumps(tools)
        _c.aicp_cost_request_add_tools(self._h, self._keep(text))

    def set_max_tokens(self, max_tokens: Optional[int]) -> None:
        """The cap of output tokens; None = none."""
        cap = -1 if max_tokens is None else max_tokens
        _c.aicp_cost_request_set_max_tokens(self._h, cap)

    def set_n(self, n: int) -> None:
        """How many answers are asked for."""
        _c.aicp_cost_request_set_n(self._h, n)

    def set_long_cache(self, on: bool = True) -> None:
        """Says that the request asks for cache entries that live an hour."""
        _c.aicp_cost_request_set_long_cache(self._h, int(on))

    def count(self, model: Optional[str] = None) -> TokenCount:
        """Counts the input tokens, by the rules of another model when one is named."""
        profile = _c.aicp_token_profile_find(model if model is not None else self.model or "")
        return _count(_c.aicp_cost_request_count(self._h, profile))

    def estimate(
        self,
        price: Price,
        *,
        tier: str = "standard",
        uplift: str = "none",
        wall_ns: int = 0,
        output_p50: int = 0,
        output_p95: int = 0,
    ) -> Quote:
        """Prices the request before the call."""
        options = _options(tier, uplift, wall_ns, output_p50, output_p95)
        return _quote(_c.aicp_cost_estimate(self._h, price._p, options))


assert array("I").itemsize == 4, sys.platform
