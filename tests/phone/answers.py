"""Asks PyPI `phonenumbers` what it says of numbers, and writes its answers beside this file.

    pip install phonenumbers==9.0.42    # the version of the metadata in rlibphonenumber
    python answers.py

kinds.txt: a number in international form, its country (or -), and its kind (or `invalid`).
spellings.txt: what somebody might type, the country that it is read in, and the number that is meant (or -):
none if it contains a letter, or is complete only inside its area.
Both are the same on every run.
"""

import pathlib
import random

import phonenumbers as lib
from phonenumbers import PhoneNumberFormat, PhoneNumberType, ValidationResult

HERE = pathlib.Path(__file__).parent
WORDS = {value: name.lower().replace("_", "-") for name, value in vars(PhoneNumberType).items() if name.isupper()}
HEAD = f"# phonenumbers {lib.__version__}\n"


def e164(number):
    return lib.format_number(number, PhoneNumberFormat.E164)


def answer(number):
    if not lib.is_valid_number(number):
        return "- invalid"
    region = lib.region_code_for_number(number)
    return f"{region if region and region != '001' else '-'} {WORDS[lib.number_type(number)]}"


def kinds(rng):
    """Example numbers of every country and kind, and numbers near them."""
    found = {}
    examples = []
    for region in sorted(lib.SUPPORTED_REGIONS):
        for kind in sorted(lib.supported_types_for_region(region)):
            example = lib.example_number_for_type(region, kind)
            if example:
                examples.append(example)
    rng.shuffle(examples)
    for example in examples[:600]:
        found[e164(example)] = answer(example)
    while len(found) < 1000:
        digits = list(e164(rng.choice(examples)))
        for _ in range(rng.randint(1, 4)):
            digits[rng.randrange(4, len(digits))] = str(rng.randrange(10))
        text = "".join(digits)
        try:
            found[text] = answer(lib.parse(text))
        except lib.NumberParseException:
            pass
    return "".join(f"{number} {said}\n" for number, said in sorted(found.items()))


def spelt(text, region):
    if any(c.isalpha() for c in text.removeprefix("tel:")):
        return "-"
    try:
        number = lib.parse(text, region)
    except lib.NumberParseException:
        return "-"
    is_complete = lib.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE
    return e164(number) if is_complete and not number.extension else "-"


MEANT = [("CH", "079 123 45 67"), ("DE", "0151 23456789"), ("GB", "07400 123456"), ("US", "(201) 555-0123"),
         ("FR", "06 12 34 56 78"), ("IT", "312 345 6789"), ("IN", "081234 56789"), ("BR", "(11) 96123-4567"),
         ("AT", "0664 123456"), ("JP", "090-1234-5678")]


def spellings():
    lines = []
    for region, national in MEANT:
        number = lib.parse(national, region)
        digits = "".join(c for c in national if c.isdigit())
        code = str(number.country_code)
        rest = lib.national_significant_number(number)
        wide = digits.translate({ord("0") + n: 0xFF10 + n for n in range(10)})
        arabic = digits.translate({ord("0") + n: 0x0660 + n for n in range(10)})
        for text in [
            national, digits, f"+{code}{rest}", f"00{code}{rest}", f"+{code} (0) {rest}", f" {national} ",
            f"tel:+{code}-{rest}", national.replace(" ", "."), national.replace(" ", "\u00a0"), wide, arabic,
            f"\uff0b{code}{rest}", "-".join(digits), f"+{code}{rest} ext. 7", f"{digits}#", f"call {national}",
            f"+{code}{rest[:-3]}", f"+{code}{rest}1234", f"++{code}{rest}", f"{code}{rest}",
        ]:
            lines.append(f"{text}\t{region}\t{spelt(text, region)}\n")
    return "".join(lines)


if __name__ == "__main__":
    (HERE / "kinds.txt").write_text(HEAD + kinds(random.Random(42)))
    (HERE / "spellings.txt").write_text(HEAD + spellings())
