"""How values look: an attribute's generator, by rules over its name and type.

Read by catalogue_from_facts.
"""
import re
import zlib

from catalogue_reviewed import HIDE


def draw(*words):
    """A number that decides about something, always the same."""
    return zlib.crc32("/".join(words).encode())


STRINGS = [
    (r"^(first|given)_name$|^nickname$", "pick given"), (r"^last_name$", "pick family"),
    (r"^middle_name$", "pick given"), (r"name_prefix", "pick prefixes_short"), (r"name_suffix", "pick suffixes"),
    (r"^(full|person|creator|owner|reassigned_to|profile|formatted|responds_to|scheduled_by|from|emergency_contact|"
     r"notification_sender|notification_changed_by)_name$|^author$|^admin$", "template \"{list:given} {list:family}\""),
    (r"^name_or_description$", "words sentence 2 5"),
    (r"gender", "pick genders_two"),
    (r"(^|_)e?mail|address$", "template \"{list:given|ascii}{n}@example.org\""),
    (r"phone|number$|^display_number", "template \"+1555{d7}\""),
    (r"time_zone", "template \"{org.zone}\""),
    (r"date_format", "const \"%m/%d/%Y\""),
    (r"currency_symbol", "const $"), (r"currency", "const USD"),
    (r"color", "template \"#{x6}\""), (r"uuid|identifier|token|secret|gid", "template \"{x8}-{x4}-{x4}-{x12}\""),
    (r"(url|urls|link|avatar|photo|thumbnail|art|image|original|for_mobile|for_plan|for_dashboard|file_content)$|_url_|website",
     "template \"https://files.example.org/{n}/{x8}\""),
    (r"^last4$|_last4$", "template \"{d4}\""), (r"content_type$", "const image/png"),
    (r"file_?name$", "template \"file-{n}.pdf\""), (r"visibility", "pick visibilities"),
    (r"payment_status", "pick payment_states"), (r"payment_method$|method_type", "pick payment_methods"),
    (r"^status$|_status$|state$", "pick states_of_work"), (r"permissions?(_type)?$|^role$", "pick roles"),
    (r"kind|type$|category$|frequency|strategy|schedule$|period|interval|mode$", "pick kinds"),
    (r"^zip$|code$", "template \"{d5}\""), (r"country", "const US"), (r"^(created|updated)_at$|_at$|sort_date", "time 2014 2026"),
    (r"(^|_)dates$", "pick human_dates"), (r"^(day|month|hour)", "pick human_dates"),
    (r"_key$|^(starting|ending|alternate)_key|keys$", "pick musical_keys"),
    (r"path", "words titles 1 2"), (r"latitude|longitude", "template \"{d2}.{d6}\""),
    (r"description|notes?$|body|message|summary|lyrics|memo|comment|content|reason|details|html|text|chart$|payload|"
     r"response|request|headers|settings|changes|data$", "words sentence 3 14"),
    (r"name$|title$|subject|label|value|theme|slug", "pick titles"),
]


def string_value(name):
    for pattern, generator in STRINGS:
        if re.search(pattern, name):
            return generator
    return "words sentence 1 3"


def integer_value(name):
    if name.startswith("fee_"):
        return "int -500 0"
    if name.endswith("_cents"):
        return "int 100 250000"
    if name in ("sequence", "position"):
        return "sequence"
    if name == "year":
        return "int 2015 2026"
    if name in ("month", "hour", "day_of_week", "minute"):
        return "int 0 %d" % {"month": 12, "hour": 23, "day_of_week": 6, "minute": 59}[name]
    return "int 0 40" if re.search("count|total|quantity", name) else "int 1 5000"


def value(e, name, kind):
    """The generator of an attribute, and the percentage of nulls."""
    exceptions = e.facts.get("json_type_exceptions") or {}
    optional = 20 if draw(*e.key, name) % 3 == 0 else 0
    if kind == "date_time" and name in ("created_at", "updated_at"):
        return name[:-3], 0
    if kind == "date_time" and name == HIDE.get(e.key):
        return "time 2016 2024", 60
    if kind == "date_time":
        if re.search("archived|deleted|canceled|removed|undone", name):
            return "time 2016 2024", 75
        return "time 2014 2027", 0 if re.search("starts|ends|^name$|joined|sort|received", name) else 25
    if kind == "boolean":
        return "bool %d" % (10 + draw(name) % 80), 0
    if kind == "integer":
        return integer_value(name), 15 if draw(*e.key, name) % 5 == 0 else 0
    if kind == "float":
        return {"latitude": "float 25 48", "longitude": "float -122 -71"}.get(name, "float 0 10"), optional
    if kind == "date":
        return "date 1990 2025", 20
    if kind == "json":
        return 'template "{\\"kind\\":\\"{list:kinds}\\",\\"level\\":{n},\\"tags\\":[1,2.5,\\"ü\\",null]}"', optional
    if kind == "array":
        return 'template "[\\"{list:kinds}\\",{\\"n\\":{n}}]"', optional
    if kind == "id" and name[:-3] in e.to_one:
        return "ref " + name[:-3], 0
    if name in exceptions and exceptions[name].startswith("number"):
        return "int 1000 9999", 0
    if kind == "id":
        return 'template "7{d5}"', 20
    if name == "attachable_type":
        return "type_of attachable", 0
    if re.search(r"^(name|title|first_name|last_name|status|kind)$", name):
        optional = 0
    return string_value(name), optional


def attribute_lines(e):
    fields_only = set(e.facts.get("fields_param_only_attributes") or [])
    exceptions = e.facts.get("json_type_exceptions") or {}
    since = e.facts.get("since") or {}
    attributes = dict(e.attributes)
    hidden = HIDE.get(e.key) not in attributes and HIDE.get(e.key)
    if hidden:
        attributes[hidden] = "date_time"
    # something for a plain update to change, a text if there is one
    made = {n: value(e, n, k) for n, k in sorted(attributes.items())}
    texts = [n for n, (g, _) in made.items() if attributes[n] == "string" and
             g.split()[0] in ("pick", "words", "template")]
    others = [n for n, k in attributes.items() if k in ("boolean", "integer") and made[n][0] != "sequence"]
    changes = set(texts[:2] or others[:1])
    for name, (generator, nulls) in made.items():
        words = ["attribute", name, attributes[name], generator]
        if nulls:
            words.append("nulls %d" % nulls)
        if name in fields_only:
            words.append("fields_only")
        if name == hidden:
            words.append("hidden")
        if exceptions.get(name, "").startswith("number"):
            words.append("number")
        if name in since:
            words.append("since " + since[name])
        if name in changes:
            words.append("changes")
        yield " ".join(words)


def filter_lines(e):
    """Named scopes; one that cannot be said in the catalogue's words changes nothing."""
    attributes, hide = e.attributes, HIDE.get(e.key)
    names = list(e.facts.get("filters") or [])
    if e.key == ("services", "Plan"):
        names = ["after", "before", "deleted", "future", "no_dates", "past"]
    start = next((n for n in ("sort_date", "starts_at") if n in attributes), None)
    for name in names:
        if name in ("with_deleted", "with_recoverable") and hide:
            how = "unhide"
        elif name in ("only_deleted", "recently_deleted") and hide:
            how = "only"
        elif name == "deleted":
            how = "nonnull deleted_at"
        elif name in ("archived", "unarchived", "not_archived") and "archived" in attributes:
            how = "equals archived " + ("true" if name == "archived" else "false")
        elif name in ("archived", "not_archived") and "archived_at" in attributes:
            how = "nonnull archived_at" if name == "archived" else "equals archived_at null"
        elif name in ("canceled", "not_canceled") and "canceled" in attributes:
            how = "equals canceled " + ("true" if name == "canceled" else "false")
        elif name == "checked_out":
            how = "nonnull checked_out_at"
        elif name in ("resolved", "unresolved") and "resolved_at" in attributes:
            how = "nonnull resolved_at" if name == "resolved" else "equals resolved_at null"
        elif name == "succeeded":
            how = "equals payment_status succeeded"
        elif name in ("committed", "in_progress") and "committed_at" in attributes:
            how = "nonnull committed_at" if name == "committed" else "equals committed_at null"
        elif name in ("future", "upcoming", "after") and start:
            how = "since %s after 0" % start
        elif name in ("one_time_guest", "listed", "published", "required") and name in attributes:
            how = "equals %s true" % name
        elif name == "public" and "display_publicly" in attributes:
            how = "equals display_publicly true"
        else:
            how = "all"
        yield "filter %s %s" % (name, how)
