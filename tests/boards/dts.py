# SPDX-License-Identifier: BSD-2-Clause
"""Reads the text that `dtc -I dtb -O dts` writes, into nodes with properties of plain bytes.

This is a second reading of a tree that shares no code with the library's: dtc decompiles it, and
what follows is a tokenizer of the few forms that dtc's output has.
"""
import re
import subprocess

TOKEN = re.compile(r"""
    (?P<comment>/\*.*?\*/|//[^\n]*)
  | (?P<string>"(?:[^"\\]|\\.)*")
  | (?P<cells><[^>]*>)
  | (?P<hexbytes>\[[^]]*\])
  | (?P<directive>/dts-v1/|/memreserve/|/plugin/|/bits/\s*\d+)
  | (?P<mark>[{};=])
  | (?P<comma>,(?=\s))
  | (?P<word>[^\s{};="<]+)
""", re.VERBOSE | re.DOTALL)

ESCAPES = {"n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11}


class Node:
    """A node: its name and path, its properties as bytes, its parent and children in tree order."""

    def __init__(self, name, parent):
        self.name = name
        self.parent = parent
        self.children = []
        self.properties = {}
        if parent is None:
            self.path = "/"
        else:
            self.path = parent.path.rstrip("/") + "/" + name

    def child(self, name):
        for child in self.children:
            if child.name == name or child.name.split("@")[0] == name:
                return child
        return None

    def walk(self):
        pending = [self]
        while pending:
            node = pending.pop()
            yield node
            pending.extend(reversed(node.children))

    def has(self, name):
        return name in self.properties

    def cells(self, name):
        """The property as 32-bit cells; None where it is absent or no whole number of cells."""
        value = self.properties.get(name)
        if value is None or len(value) % 4 != 0:
            return None
        return [int.from_bytes(value[at:at + 4], "big") for at in range(0, len(value), 4)]

    def cell(self, name, otherwise=None):
        cells = self.cells(name)
        return cells[0] if cells and len(cells) == 1 else otherwise

    def strings(self, name):
        value = self.properties.get(name, b"")
        return [part.decode("latin-1") for part in value.split(b"\0")[:-1]]

    def enabled(self):
        status = self.properties.get("status")
        return status is None or status in (b"okay\0", b"ok\0")


def unescape(text):
    out = bytearray()
    at = 0
    while at < len(text):
        if text[at] != "\\":
            out += text[at].encode("latin-1")
            at += 1
            continue
        code = text[at + 1]
        if code == "x":
            digits = re.match(r"[0-9a-fA-F]{1,2}", text[at + 2:]).group()
            out.append(int(digits, 16))
            at += 2 + len(digits)
        elif code == "0":
            # dtc writes a NUL inside a list as \0 even where a digit follows: never octal.
            out.append(0)
            at += 2
        else:
            out += bytes([ESCAPES[code]]) if code in ESCAPES else code.encode("latin-1")
            at += 2
    return bytes(out) + b"\0"


def value_bytes(kind, text, bits):
    if kind == "string":
        return unescape(text[1:-1])
    if kind == "hexbytes":
        return bytes.fromhex("".join(text[1:-1].split()))
    return b"".join(int(cell, 0).to_bytes(bits // 8, "big") for cell in text[1:-1].split())


def parse(text):
    """Returns the root node and the /memreserve/ list [(base, size)]."""
    reserves, root, node = [], None, None
    words, value, bits = [], None, 32
    for token in TOKEN.finditer(text):
        kind, got = token.lastgroup, token.group()
        if kind in ("comment", "comma"):
            continue
        if kind == "directive":
            words = [got] if got == "/memreserve/" else words
            bits = int(got.split()[1]) if got.startswith("/bits/") else bits
        elif kind == "word":
            if not got.endswith(":"):
                words.append(got)
        elif kind == "mark" and got == "{":
            node = Node(words[-1], node)
            if node.parent is None:
                root = node
            else:
                node.parent.children.append(node)
            words = []
        elif kind == "mark" and got == "}":
            node = node.parent
            words = []
        elif kind == "mark" and got == "=":
            value, bits = b"", 32
        elif kind == "mark":
            if words and words[0] == "/memreserve/":
                reserves.append((int(words[1], 0), int(words[2], 0)))
            elif words and node is not None:
                node.properties[words[-1]] = value if value is not None else b""
            words, value = [], None
        elif value is not None:
            value += value_bytes(kind, got, bits)
    if root is None or node is not None:
        raise ValueError("dtc's text has no complete root node")
    return root, reserves


def read(path):
    """Decompiles a .dtb and reads the text. Raises ValueError where dtc finds it broken."""
    done = subprocess.run(["dtc", "-f", "-qq", "-I", "dtb", "-O", "dts", path], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise ValueError("dtc: " + done.stderr.decode("latin-1")[-300:])
    return parse(done.stdout.decode("latin-1"))
