"""Pages that are about something else: shops, news, chatter, recipes, travel, members, notices.

Sentences are drawn from templates whose slots multiply to many thousands, so that two pages of a kind are
alike in style and not near-duplicates. Numbers, prices and percentages occur here too: digits alone do
not make a page mathematical.
"""

from __future__ import annotations

import random
import re

from dsm_repro.miniature.web_page import Block


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_WORDS: dict[str, tuple[str, ...]] = {
    "adjective": _words("quiet bright sturdy modern rustic compact elegant gentle bold faded crisp narrow generous "
                       "clever humble lively plain polished rugged slender warm worn wooden foldable cheerful"),
    "product": _words("kettle lamp backpack blender headset keyboard armchair blanket toaster umbrella monitor "
                     "bookshelf curtain heater tripod notebook thermos doormat speaker charger vase"),
    "material": _words("steel bamboo cotton leather glass ceramic aluminium oak wool linen cork copper felt"),
    "place": _words("Ashford Brimley Calder Dunmore Eastvale Fernhill Greystone Harlow Ivybridge Kelso Lorton Marsden "
                   "Norwick Oldbury Penrose Quayside Redmere Selby Thornton Upwell Wexcombe"),
    "person": _words("Harper Okafor Lindgren Castillo Novak Ferreira Whitlock Ibrahim Moreau Sato Bennett Kowalski "
                    "Andersen Delgado Fitzroy Gallagher Huang Jensen Murphy Petrov"),
    "body": ("council", "school board", "bus company", "harbour authority", "rowing club", "city library",
             "farmers union", "fire service", "theatre company", "water board", "market hall", "history society"),
    "verb": ("approved", "postponed", "criticised", "announced", "rejected", "welcomed", "reviewed", "defended",
             "cancelled", "proposed"),
    "matter": ("a new cycle path", "the summer festival", "higher parking fees", "repairs to the old bridge",
               "a ban on fireworks", "longer opening hours", "the flood barrier", "plans for a night bus",
               "a second playground", "the sale of the town hall", "free museum entry", "noise rules for bars"),
    "weekday": _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
    "food": _words("lentils chicken mushrooms salmon pumpkin chickpeas noodles spinach aubergine rice barley beans "
                  "cauliflower tofu potatoes"),
    "spice": _words("cumin thyme paprika ginger basil turmeric coriander rosemary nutmeg mint saffron dill"),
    "feeling": ("exhausted", "delighted", "sceptical", "grateful", "annoyed", "curious", "relieved", "hopeful"),
    "thing": ("the new season", "that film", "my old phone", "the office printer", "our neighbours' dog", "the train",
              "my sourdough", "the last update", "that concert", "winter tyres", "the garden fence", "my bike lock"),
    "opinion": ("is overrated", "deserves more credit", "keeps me awake", "was worth every minute", "broke again",
                "makes no sense to me", "has grown on me", "should have been better", "surprised everybody"),
    "sight": ("the lighthouse", "a covered market", "the botanical garden", "an abandoned mill", "the harbour walk",
              "a tiny chapel", "the railway museum", "the old walls", "a vineyard"),
}  # fmt: skip

_SENTENCES: dict[str, tuple[str, ...]] = {
    "shop": (
        "The {adjective} {product} in {material} comes in {n} colours and costs {price}.",
        "Customers from {place} gave this {adjective} {product} {stars} out of 5 stars in {n} reviews.",
        "Order before {hour} on {weekday} and your {product} ships from {place} within {n} hours.",
        "Made of {material} and {material}, the {product} weighs {n} kg and folds to a {adjective} shape.",
        "Save {n}% on every {adjective} {product} until {weekday}, while stocks in {place} last.",
        "SKU {sku}: {adjective} {product}, {material}, warranty {n} months, was {price}, now {price}.",
        "{person} writes: my {product} arrived {adjective} and {adjective}, just as the picture of the {material} one.",
    ),
    "news": (
        "The {body} of {place} {verb} {matter} on {weekday} by {n} votes to {n}.",
        "{person}, who speaks for the {body}, said that {matter} would cost {price} million.",
        "In {place}, {n}% of those asked were in favour of {matter}, up from {n}% a year ago.",
        "Residents near {sight} told this paper that they were {feeling} about {matter}.",
        "{place} beat {place} {n} to {n} on {weekday}, and coach {person} was {feeling} afterwards.",
        "A decision by the {body} in {place} is expected on {weekday}, {person} confirmed.",
        "Traffic through {place} was {adjective} after the {body} {verb} {matter}.",
    ),
    "chatter": (
        "Honestly, {thing} {opinion}, and I am {feeling} about it.",
        "Does anybody in {place} know whether {thing} {opinion}? Asking since {weekday}.",
        "@{person} I was {feeling} when {thing} came up, but I think it {opinion} lol.",
        "We talked about {thing} for {n} minutes on {weekday} and {person} left {feeling}.",
        "Bought a {adjective} {product} instead of worrying about {thing}.",
        "Unpopular opinion: {thing} {opinion}, while {thing} {opinion}.",
    ),
    "recipe": (
        "Fry the {food} with {spice} for {n} minutes until they look {adjective}.",
        "Add {n} g of {food}, a spoon of {spice} and a pinch of {spice}, and stir with a {adjective} spoon.",
        "My aunt in {place} serves this {food} dish on a {weekday}, with {spice} and {food} on the side.",
        "Leave the {food} in the oven at {oven} degrees for {n} minutes, then scatter {spice} on top.",
        "If you have no {spice}, take {spice}; the {food} will be more {adjective}.",
        "Serves {n}. Keeps for days beside {food} in a {material} pot.",
    ),
    "travel": (
        "From {place} we walked {n} km to {sight}, {feeling} and soaked.",
        "{sight} near {place} opens at {hour} on {weekday} and costs {price}.",
        "Our room in {place} had a {adjective} {product} and a view of {sight}.",
        "A {adjective} ferry links {place} with {place} {n} times a day.",
        "Do not miss {sight}: {person}, our guide, was {feeling} to show it on a {weekday}.",
        "In {place} we ate {food} with {spice} beside {sight}.",
    ),
    "member": (
        "{person} joined in {year} and lives in {place}.",
        "Reputation {sku}, {n} badges, last seen on {weekday} at {hour}.",
        "About me: {feeling} owner of a {adjective} {product}, fond of {food}.",
        "Favourite place: {sight} in {place}. Favourite dish: {food} with {spice}.",
        "{person} follows {n} people and is followed by {sku}.",
    ),
    "tag": (
        "{n} threads, newest on {weekday} at {hour} by {person}.",
        "{person} and {n} others watch this tag; {person} moderates it from {place}.",
        "Most viewed this week: a thread by {person} with {sku} views and {n} replies.",
        "Sort by votes, activity or date; {person} added {n} synonyms in {year}.",
    ),
    "notice": (
        "The office in {place} is open on {weekday} until {hour}.",
        "Write to {person}, {n} Station Road, {place}, or call {sku}.",
        "We keep your data for {n} months and share it with the {body} of {place} only on request.",
        "Applications reach {person} by {weekday} at {hour}; late ones are {adjective} at best.",
        "In {year} the {body} {verb} {matter}, and these terms were changed by {person}.",
    ),
}  # fmt: skip
_TITLES: dict[str, tuple[str, ...]] = {
    "shop": ("{adjective} {material} {product}", "{product} by {person}"),
    "news": ("{body} {verb} {matter}", "{place}: {body} {verb} {matter}"),
    "chatter": ("{thing} {opinion}", "am I the only one who is {feeling}?"),
    "recipe": ("{adjective} {food} with {spice}", "{food} and {food}"),
    "travel": ("A weekend in {place}", "{place} and {sight}"),
    "member": ("{person}", "Profile of {person}"),
    "tag": ("Tag: {feeling}", "Threads about {product}"),
    "notice": ("Contact in {place}", "Terms of {year}", "Visit us on {weekday}"),
}
_SLOT = re.compile(r"\{(\w+)\}")


def filler_page(kind: str, rng: random.Random) -> tuple[str, tuple[Block, ...]]:
    """Return (title, blocks) of a templated page of a kind of ``web_sites.FILLER``."""
    title = fill(rng.choice(_TITLES[kind]), rng)
    sentences = [fill(rng.choice(_SENTENCES[kind]), rng) for _ in range(rng.randint(7, 16))]
    size = rng.randint(2, 5)
    blocks = [Block("paragraph", " ".join(sentences[start : start + size])) for start in range(0, len(sentences), size)]
    return title[:1].upper() + title[1:], tuple(blocks)


def remark(rng: random.Random) -> str:
    """One short remark, as a reader leaves it under a page."""
    return fill(rng.choice(("Thanks {person}!", "{person} was here on {weekday}.", "Printed in {place}.")), rng)


def fill(template: str, rng: random.Random) -> str:
    """Fill the slots of a template, each draw on its own; a sentence begins with a capital."""
    text = _SLOT.sub(lambda match: _value(match.group(1), rng), template)
    return text[:1].upper() + text[1:]


def _value(slot: str, rng: random.Random) -> str:
    if slot == "n":
        return str(rng.randint(2, 60))
    if slot == "price":
        return f"${rng.randint(3, 480)}.{rng.choice(('00', '49', '95', '99'))}"
    if slot == "stars":
        return f"{rng.randint(2, 4)}.{rng.randint(0, 9)}"
    if slot == "hour":
        return f"{rng.randint(7, 20)}:{rng.choice(('00', '15', '30', '45'))}"
    if slot == "sku":
        return str(rng.randint(10_000, 999_999))
    if slot == "oven":
        return str(10 * rng.randint(15, 23))
    if slot == "year":
        return str(rng.randint(2009, 2023))
    return rng.choice(_WORDS[slot])
