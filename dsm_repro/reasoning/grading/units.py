"""What stands around a value: a percent sign, a currency, a unit, a noun, a base.

``5\\text{ cm}`` says 5 and centimetres. A unit that one answer names and the other leaves out is no difference;
two *known* units that differ are one (nothing is converted: the question says which unit it wants). A noun that is
no unit, as in ``9\\text{ values}``, says nothing that the value does not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

PERCENT = "percent"

#: spellings of each unit, singular; a plural s is taken off before the look-up
_SPELLINGS: dict[str, tuple[str, ...]] = {
    "millimeter": ("mm", "millimetre"),
    "centimeter": ("cm", "centimetre", "厘米"),
    "meter": ("m", "metre", "米"),
    "kilometer": ("km", "kilometre", "千米", "公里"),
    "inch": ("in", "inche"),
    "foot": ("ft", "feet"),
    "yard": ("yd",),
    "mile": ("mi",),
    "milligram": ("mg",),
    "gram": ("g", "gm", "克"),
    "kilogram": ("kg", "kilo", "千克", "公斤"),
    "ounce": ("oz",),
    "pound": ("lb",),
    "ton": ("tonne",),
    "second": ("sec", "s", "秒"),
    "minute": ("min", "分钟"),
    "hour": ("hr", "h", "小时"),
    "day": ("天",),
    "week": (),
    "month": ("个月",),
    "year": ("yr", "年"),
    "milliliter": ("ml", "millilitre"),
    "liter": ("l", "litre", "升"),
    "gallon": ("gal",),
    "acre": (),
    "mile/hour": ("mph",),
    "kilometer/hour": ("kph", "kmh"),
    "degree": ("deg",),
    "degree celsius": ("celsius", "degree c"),
    "degree fahrenheit": ("fahrenheit", "degree f"),
    "radian": ("rad",),
    "dollar": ("usd", "buck"),
    "euro": ("eur",),
    "pound sterling": ("gbp",),
    "cent": (),
    "yuan": ("rmb", "元"),
    "unit": (),
    "kilowatt": ("kw",),
    "hertz": ("hz",),
    "am": ("a.m.", "a.m"),
    "pm": ("p.m.", "p.m"),
    PERCENT: ("percentage", "per cent"),
}
_NAMES = {spelling: name for name, others in _SPELLINGS.items() for spelling in (name, *others)}
_POWERS = {"square": "^2", "sq": "^2", "sq.": "^2", "cubic": "^3", "cu": "^3", "cu.": "^3"}
_MEANING_WORDS = (
    "and or not no none neither more less fewer least most than over under about approximately roughly nearly maybe "
    "perhaps if for where when except all infinity undefined mod modulo base remainder choose is isn't wrong incorrect "
    "false impossible plus minus negative below above squared cubed factorial root dozen dozens pair pairs half halves "
    "third fourth fifth sixth seventh eighth ninth tenth hundredth thousandth tens hundreds thousands millions "
    "billions lakh crore zero one two three four five six seven eight nine ten eleven twelve twenty thirty forty "
    "fifty sixty seventy eighty ninety hundred thousand million billion trillion"
)
#: words that change the value they stand behind: nobody may leave them out
MEANING = frozenset(_MEANING_WORDS.split()) | {
    f"{part}s" for part in _MEANING_WORDS.split() if part.endswith(("th", "third"))
}
#: the same in Chinese, as characters: 或 or, 约 about, 以上 or more, 倍 times, 万 ten thousand, digits
_HAN_MEANING = frozenset("或不非约至到和与以上下左右多少余倍半之加减乘除负万亿千百十一二三四五六七八九两零点错")
SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}

_CURRENCY = re.compile(
    r"([+-]?)(?:\\text\{\s*)?(?:US)?(\\?\$|\\pounds(?![a-zA-Z])|£|\\euro(?![a-zA-Z])|€)(?:\s*\})?\s*(?=[\d.\\(])"
)
_CURRENCY_NAMES = {"$": "dollar", "\\$": "dollar", "\\pounds": "pound sterling", "£": "pound sterling"}
_PERCENT = re.compile(r"\s*(?:\\?%|\\text\{\s*\\?%\s*\})$")
_DEGREES = re.compile(r"\s*(?:\^\s*\{?\s*\\(?:circ|degree)\s*\}?|\\degrees?(?![a-zA-Z])|°)$")
_TEMPERATURE = re.compile(r"\s*(?:\^\s*\{?\s*\\circ\s*\}?|°)\s*(?:\\(?:text|mathrm)\{\s*([CF])\s*\}|([CF]))$")
_ORDINAL = re.compile(r"(?<=\d)\s*(?:\^?\{?\\(?:text|mathrm)\{(?:st|nd|rd|th)\}\}?|\^?\{?(?:st|nd|rd|th)\}?)$")
_TEXT = re.compile(r"\\(?:text|textrm|textbf|mathrm|mbox|operatorname)\{([^{}\\]*)\}\.?(?:\s*\^\s*\{?([23])\}?)?$")
#: a bare word is a unit only behind digits or a brace, and only where the table knows it: letters are variables
_BARE = re.compile(r"(?<=[\d}).%])\s*([A-Za-z][A-Za-z.]*(?:[ /]+[A-Za-z.]+){0,3})(?:\s*\^\s*\{?([23])\}?)?$")
_HAN = re.compile(r"(?<=[\d})])\s*([\u4e00-\u9fff]{1,8})$")
#: what a noun may have between its letters
_NOUN_MARKS = frozenset(" '.,-/()")
_LETTER = re.compile(r"\\(?:text|textrm|textit|mathrm|mathit|operatorname)\{\s*([A-Za-z])\s*\}")
_BASE = re.compile(r"(\\text\{[0-9A-Z]+\}|[0-9A-Z]*\d[0-9A-Z]*)_(?:\{\s*(\d+|\\text\{[a-z ]+\})\s*\}|(\d+))", re.ASCII)


@dataclass(frozen=True)
class Measured:
    #: the value as text
    text: str
    #: name of the unit, or the noun; "" where there is none
    unit: str = ""
    #: the unit is one of the table (or a power, a ratio, a base)
    known: bool = False
    #: an answer without it says the same
    optional: bool = True


@lru_cache(maxsize=4_096)
def split(text: str) -> Measured:
    """``text`` (cleaned) as value and unit."""
    if match := _BASE.fullmatch(text):
        digits = match[1].removeprefix("\\text{").removesuffix("}")
        return Measured(digits, f"base {match[2] or match[3]}", known=True)
    if match := _CURRENCY.match(text):
        name = _CURRENCY_NAMES.get(match[2], "euro")
        # "$5 dollars" says it twice.
        inner = split(match[1] + text[match.end() :])
        return Measured(inner.text, name, known=True)
    if (match := _PERCENT.search(text)) and match.start():
        return Measured(text[: match.start()], PERCENT, known=True)
    if (match := _TEMPERATURE.search(text)) and match.start():
        scale = {"C": "degree celsius", "F": "degree fahrenheit"}[match[1] or match[2]]
        return Measured(text[: match.start()], scale, known=True)
    if (match := _DEGREES.search(text)) and match.start():
        return Measured(text[: match.start()], "degree", known=True)
    if text[-1:] in "thd}" and (match := _ORDINAL.search(text)):
        return Measured(text[: match.start()], "ordinal", known=True)
    for pattern, only_known in ((_TEXT, False), (_BARE, True), (_HAN, False)):
        match = pattern.search(text)
        # A subscript and an operator keep their word: x_{\text{max}}, 3 - \text{odd}.
        if not match or not match.start() or text[: match.start()].rstrip()[-1:] in "_^{+-*/=<>&,(:":
            continue
        body, words = text[: match.start()].rstrip(), match[1]
        if scaled := _scaled(body, words):
            return scaled
        if only_known and len(words) == 1:
            continue
        if not only_known and changes_value(words):
            return Measured(body, " ".join(words.lower().split()), optional=False)
        name, known = _unit(words, match[2] if pattern is not _HAN else None)
        if name and (known or (not only_known and _is_noun(words))):
            if not known and _PERCENT.search(body):
                # 50\% of the students
                return split(body)
            return Measured(_without_spacing(body), name, known)
    return Measured(text)


def differ(a: Measured, b: Measured) -> bool:
    """Both name a known unit, and not the same one; or one has words that the other must have too."""
    return a.unit != b.unit and ((a.known and b.known) or not (a.optional and b.optional))


def changes_value(words: str) -> bool:
    """Whether words behind a value change it: ``or more``, ``(mod seven)``, ``dozen``."""
    if words.strip() in _NAMES:
        # 千米 is kilometres, though 千 alone is a thousand
        return False
    return bool(MEANING & set(re.findall(r"[a-z']+", words.lower())) or _HAN_MEANING & set(words))


def is_known(word: str) -> bool:
    """Whether the table has this unit, in any of its spellings."""
    return _name(word) is not None or word in _POWERS


def is_power(word: str) -> bool:
    """``square`` and ``cubic``, before a unit of length."""
    return word in _POWERS


def letters(text: str) -> str:
    """A single letter in ``\\mathrm{}`` or ``\\text{}`` that is no unit is the letter: ``2\\mathrm{i}`` is 2i."""
    return _LETTER.sub(r" \1", text) if "{" in text else text


def _is_noun(words: str) -> bool:
    """``clips``, ``(in total)``; not ``x``, ``+1``, ``k``: one or two letters are a name or a factor."""
    if not all(character.isalpha() or character in _NOUN_MARKS for character in words):
        return False
    return not words.isascii() or sum(map(str.isalpha, words)) >= 3


def _unit(words: str, power: str | None) -> tuple[str, bool]:
    """(name, whether it is in the table); ("", False) for words that mean more than a unit."""
    parts = words.lower().replace("/", " / ").split()
    if not parts or changes_value(words) or any(part.isdigit() for part in parts):
        return "", False
    exponent = f"^{power}" if power else ""
    if parts[0] in _POWERS:
        exponent, parts = _POWERS[parts[0]], parts[1:]
    over, _, under = " ".join(parts).replace(" per ", " / ").partition(" / ")
    names = [_name(side) for side in (over, under) if side]
    known = bool(names) and all(name is not None for name in names)
    if not known:
        return " ".join(parts) or "unit", False
    return "/".join(name or "" for name in names) + exponent, True


def _name(word: str) -> str | None:
    word = word.strip()
    for spelling in (word, word.rstrip("."), word.removesuffix("s"), word.rstrip(".").removesuffix("s")):
        if spelling in _NAMES:
            return _NAMES[spelling]
    # "degrees c": the plural is inside
    return _NAMES.get(word.replace("degrees ", "degree "))


def _scaled(body: str, words: str) -> Measured | None:
    """``5 million`` is 5·10^6, with what unit comes behind it."""
    first, _, rest = words.strip().partition(" ")
    zeros = SCALES.get(first.lower())
    if zeros is None or not re.fullmatch(r"[+-]?\d{1,12}(?:\.\d{1,12})?", body, re.ASCII):
        return None
    name, known = _unit(rest, None) if rest else ("", False)
    return Measured(f"{body}e{zeros}", name, known)


def _without_spacing(body: str) -> str:
    return re.sub(r"(?:\\[,;: !]|\\q?quad|\s|\.(?=$))+$", "", body) or body
