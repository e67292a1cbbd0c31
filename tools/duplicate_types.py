#!/usr/bin/env python3
"""Reports a type that two files define under one qualified name.

    tools/duplicate_types.py FILE...

C++ allows one definition of a type per program. Where two files define different ones under the same name, the
compiler sees each alone, and the linker keeps one of each inline function: it may read one type's members in the
memory of the other. A type that a single file needs belongs in an anonymous namespace, which this check leaves alone.

The check knows just enough of the language: it follows braces to tell which namespace a line belongs to, and looks at
declarations at namespace scope. Specialisations of templates and types inside classes are not considered.
"""

import re
import sys
from collections import defaultdict

# What cannot hold a declaration: comments, literals and the preprocessor's lines. A literal leaves "" behind. The
# alternative for numbers keeps the separator in 1'000 from being taken for a quote.
NOT_CODE = re.compile(
    r"""
      (?P<comment> //[^\n]* | /\*.*?\*/ )
    | (?P<directive> ^[ \t]*\#(?:\\\n|[^\n])* )
    | (?P<number> \b[0-9](?:'?[0-9A-Za-z_.])* )
    | (?P<literal> R"(?P<fence>[^(\s]*)\(.*?\)(?P=fence)" | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
TOKEN = re.compile(r'[A-Za-z_]\w*|::|""|\S')
CLASS_KEYS = ("struct", "class", "union", "enum")


def tokens_of(text):
    """The tokens of a source with the numbers of their lines."""

    def blank(match):
        kind = match.lastgroup if match.lastgroup != "fence" else "literal"
        lines = "\n" * match.group().count("\n")
        return {"literal": '""', "number": "0"}.get(kind, " ") + lines

    code = NOT_CODE.sub(blank, text)
    line, position = 1, 0
    for match in TOKEN.finditer(code):
        line += code.count("\n", position, match.start())
        position = match.start()
        yield match.group(), line


def after_brackets(head, at):
    """The index behind the bracket that opens at head[at]: (...), [...] or <...>."""
    closing = {"(": ")", "[": "]", "<": ">"}
    opening, depth = head[at], 0
    while at < len(head):
        depth += (head[at] == opening) - (head[at] == closing[opening])
        at += 1
        if depth == 0:
            break
    return at


def without_template(head):
    """A declaration without the `template <...>` and `inline` in front of it."""
    at = 0
    while at < len(head) and head[at] in ("template", "inline"):
        at = after_brackets(head, at + 1) if head[at + 1 : at + 2] == ["<"] else at + 1
    return head[at:]


def defined_class(head):
    """The name that `head`, the tokens before a brace, begins to define, or None."""
    head = without_template(head)
    if not head or head[0] not in CLASS_KEYS:
        return None
    at = 1
    name = []
    while at < len(head) and head[at] not in (":", "final"):
        if head[at] in ("(", "["):  # of alignas(16), __align__(16) or [[nodiscard]], which stand before the name
            at = after_brackets(head, at)
            name = []
        elif head[at] == "<":  # a specialisation
            return None
        else:
            # Two identifiers in a row: the first was no name, such as the second word of `enum class`.
            if name and name[-1] != "::" and head[at] != "::":
                name = []
            name.append(head[at])
            at += 1
    return "".join(name) or None


def declared_alias(head):
    """The name that a declaration without braces gives to a type, or None."""
    head = without_template(head)
    if head[:1] == ["using"] and head[2:3] == ["="]:
        return head[1]
    if head[:1] == ["typedef"]:
        return head[-1]
    return None


def namespace_names(head):
    """The names of the namespace that `head` opens; [] for an anonymous one, None for no namespace at all."""
    head = without_template(head)
    if head[:1] != ["namespace"]:
        return None
    return [token for token in head[1:] if token not in ("::", "inline")]


def types_of(text):
    """(qualified name, line) of the types that a source defines at the scope of named namespaces."""
    scopes = []  # for every open brace: the names it adds, or None where nothing inside can be seen elsewhere
    head, begin = [], 0

    def qualified(name):
        return "::".join([part for scope in scopes for part in scope] + [name])

    for token, line in tokens_of(text):
        hidden = None in scopes
        if token == "{":
            names = namespace_names(head)
            if not hidden and names is None:
                name = defined_class(head)
                if name:
                    yield qualified(name), begin
            if head == ["extern", '""']:
                names = []
                scopes.append(names)
            else:
                scopes.append(names or None)
            head = []
        elif token == "}":
            if not scopes:
                raise ValueError(f"line {line}: a closing brace without an opening one")
            scopes.pop()
            head = []
        elif token == ";":
            name = declared_alias(head) if head and not hidden else None
            if name:
                yield qualified(name), begin
            head = []
        else:
            if not head:
                begin = line
            head.append(token)
    if scopes:
        raise ValueError("a brace is never closed")


def main(paths):
    places = defaultdict(list)
    for path in paths:
        with open(path, encoding="utf-8") as file:
            try:
                for name, line in types_of(file.read()):
                    places[name].append((path, line))
            except ValueError as error:
                sys.exit(f"{path}: {error}: tools/duplicate_types.py cannot read it")
    faults = 0
    for name, found in sorted(places.items()):
        if len({path for path, _ in found}) > 1:
            faults += 1
            where = ", ".join(f"{path}:{line}" for path, line in found)
            print(f"{name} is defined in {where}: rename one, or put it into an anonymous namespace", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
