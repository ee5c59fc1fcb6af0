# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Command lines of QEMU from where they are written: QEMU's documentation and
tests, libvirt's test data, and files of our own.  Nothing of it is kept here
but our own ones."""

import ast
import glob
import os
import re
import shlex
import tarfile
from collections import namedtuple

from nmtools.base import build_dir

from .. import ARCHES

Line = namedtuple('Line', 'source arch args')

PROGRAM = re.compile(r'(?:\S*/)?(?:qemu-system-(\w+)|\|qemu_system(?:_x86)?\|)'
                     r'(?=\s)')
# What begins an example that does not name the program
FRAGMENT = re.compile(
    r'\s+(-(?:device|drive|blockdev|object|machine|M|cpu|smp|numa|netdev|nic|'
    r'chardev|m|accel|global|smbios|acpitable|audiodev|rtc|boot|usb\w*|hda|'
    r'fw_cfg|display|vga|mon|qmp|watchdog\S*|icount|append|action|overcommit|'
    r'compat|sandbox|set|tpmdev|virtfs|fsdev|serial|parallel|loadvm)\s.*)')
C_STRING = r'"(?:[^"\\]|\\.)*"'
QTEST_INIT = re.compile(
    r'\bqtest_init(?:_with_serial|_without_qmp_handshake)?\(\s*((?:'
    + C_STRING + r'\s*)+)[,)]')


def split(text):
    """Words of a shell's command up to what is no word; None if it is not."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars='|;&<>')
    lexer.whitespace_split = True
    lexer.commenters = ''
    args = []
    try:
        for word in lexer:
            if word and not word.strip('|;&<>'):
                break
            args.append(word)
    except ValueError:
        return None
    return args


def clean(text):
    """An example without what stands for more of it."""
    text = re.sub(r'\[?\.\.\.\]?|\[options\]|\\\\', ' ', text)
    return re.sub(r'(\w),(?=\s|$)', r'\1', text)


def joined(text):
    """Lines of a text, those that a backslash continues in one."""
    return re.sub(r'\\+\n\s*', ' ', text).split('\n')


def lines_of_text(source, text):
    """Examples of a page of documentation."""
    for line in joined(text):
        found = PROGRAM.search(line)
        fragment = FRAGMENT.match(line)
        if found and found[1] in (None, *ARCHES):
            args, arch = split(clean(line[found.end():])), found[1] or 'x86_64'
        elif fragment and not found:
            args, arch = split(clean(fragment[1])), 'x86_64'
        else:
            continue
        if args and args[0].startswith('-'):
            yield Line(source, arch, args)


def tree_file(*parts):
    """A path in QEMU's tree, without the patches."""
    return build_dir('stock', 'tree', *parts)


def documentation():
    tree = tree_file()
    names = glob.glob(f'{tree}/docs/**/*.rst*', recursive=True)
    for name in sorted(names) + [f'{tree}/qemu-options.hx']:
        with open(name, encoding='utf-8') as file:
            yield from lines_of_text('documentation', file.read())


def constants(call):
    """Arguments of a call that are written out, else None for each."""
    return [arg.value if isinstance(arg, ast.Constant)
            and isinstance(arg.value, str) else None for arg in call.args]


def drop_unknown(args):
    """Without the options whose value is worked out at run time."""
    good = []
    for arg in args:
        if arg is not None:
            good.append(arg)
        elif good and good[-1].startswith('-'):
            good.pop()
    return good


def lines_of_function(function, arch):
    """What a test of QEMU's functional suite gives to its machine."""
    args, calls = [], [node for node in ast.walk(function) if isinstance(
        node, ast.Call) and isinstance(node.func, ast.Attribute)]
    for call in sorted(calls, key=lambda node: node.lineno):
        if call.func.attr == 'add_args':
            args += drop_unknown(constants(call))
        elif call.func.attr == 'set_machine' and constants(call)[0]:
            args += ['-machine', constants(call)[0]]
    if args:
        yield Line('functional tests', arch, args)


def functional_tests():
    for name in sorted(glob.glob(tree_file('tests', 'functional',
                                           'test_*.py'))):
        arch = next((arch for arch in ARCHES if f'test_{arch}' in name), '')
        if not arch and re.match(
                r'test_(?:arm|aspeed|avr|m68k|microblaze|mips|or1k|ppc|riscv|'
                r'rx|s390x|sh4|sparc|alpha|hppa|loongarch|tricore|xtensa|i386)',
                os.path.basename(name)):
            continue
        with open(name, encoding='utf-8') as file:
            tree = ast.parse(file.read())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                yield from lines_of_function(node, arch or 'x86_64')


def qtests():
    for name in sorted(glob.glob(tree_file('tests', 'qtest', '*.c'))):
        with open(name, encoding='utf-8') as file:
            text = file.read()
        for found in QTEST_INIT.finditer(text):
            command = ''.join(ast.literal_eval(part) for part in re.findall(
                C_STRING, found[1]))
            args = split(command)
            if args and '%' not in command:
                arch = 'aarch64' if 'virt' in args else 'x86_64'
                yield Line('qtests', arch, args)


def libvirt_lines(tarball):
    """What libvirt makes of the domains of its own tests."""
    with tarfile.open(tarball) as tar:
        for member in tar:
            if not re.search(r'/tests/qemu(?:xmlconf|xml2argv)data/[^/]*\.args$',
                             member.name):
                continue
            text = tar.extractfile(member).read().decode()
            for line in joined(text):
                found = PROGRAM.search(line)
                if found and found[1] in ARCHES:
                    yield Line('libvirt', found[1],
                               shlex.split(line[found.end():]))


def own_lines(name):
    """A line for each architecture, or for the one that it begins with."""
    with open(name, encoding='utf-8') as file:
        for text in file:
            text = text.strip()
            if not text or text.startswith('#'):
                continue
            arch, found, rest = text.partition(': ')
            arches = (arch,) if found and arch in ARCHES else ARCHES
            for one in arches:
                args = shlex.split(rest if len(arches) == 1 else text)
                if one == 'aarch64' and not {'-M', '-machine'} & set(args):
                    args += ['-M', 'virt']      # it has no default
                yield Line('own', one, args)


def corpus(own, tarball):
    """All of them, each once."""
    seen = set()
    sources = [own_lines(own), documentation(), functional_tests(), qtests()]
    if tarball:
        sources.append(libvirt_lines(tarball))
    for source in sources:
        for line in source:
            key = (line.arch, *line.args)
            if key not in seen:
                seen.add(key)
                yield line
