# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What one QMP schema has that another one has not.

Schemas are what query-qmp-schema answers.  Names of types mean nothing there,
so both are walked at the same time, from each command and event on."""


class Walk:
    """The way through two schemas: what the second one lacks."""

    def __init__(self, first, second):
        self._types = tuple({entry['name']: entry for entry in schema}
                            for schema in (first, second))
        self._seen = set()
        self.lacks = []

    def _lacking(self, path):
        self.lacks.append(path)

    def roots(self):
        first, second = self._types
        for name, entry in sorted(first.items()):
            if entry['meta-type'] not in ('command', 'event'):
                continue
            other = second.get(name)
            if not other or other['meta-type'] != entry['meta-type']:
                self._lacking(name)
                continue
            for key in ('arg-type', 'ret-type'):
                if key in entry:
                    self.types(f'{name} {key[:3]}', entry[key], other[key])
        return self.lacks

    def types(self, path, first, second):
        if (first, second) in self._seen:
            return
        self._seen.add((first, second))
        a, b = self._types[0][first], self._types[1][second]
        if b['meta-type'] == 'alternate' != a['meta-type']:
            # A type may have become one of several
            self._one_of(path, first, b)
            return
        if a['meta-type'] != b['meta-type']:
            self._lacking(f"{path} as {a['meta-type']}")
            return
        getattr(self, '_' + a['meta-type'])(path, a, b)

    def _builtin(self, path, a, b):
        if a['json-type'] != b['json-type']:
            self._lacking(f"{path} as {a['json-type']}")

    def _enum(self, path, a, b):
        for value in sorted(set(a['values']) - set(b['values'])):
            self._lacking(f'{path}={value}')

    def _array(self, path, a, b):
        self.types(f'{path}[]', a['element-type'], b['element-type'])

    def _object(self, path, a, b):
        others = {member['name']: member for member in b['members']}
        for member in a['members']:
            there = f"{path}.{member['name']}"
            other = others.get(member['name'])
            if not other:
                self._lacking(there)
            else:
                self.types(there, member['type'], other['type'])
        cases = {variant['case']: variant['type']
                 for variant in b.get('variants', ())}
        for variant in a.get('variants', ()):
            there = f"{path}<{variant['case']}>"
            if variant['case'] not in cases:
                # The value of the tag is missed, too, and tells of it
                continue
            self.types(there, variant['type'], cases[variant['case']])

    def _kind(self, which, name):
        """What an alternate tells its types apart by."""
        entry = self._types[which][name]
        return entry.get('json-type', entry['meta-type'])

    def _one_of(self, path, first, b):
        kind = self._kind(0, first)
        for other in b['members']:
            if self._kind(1, other['type']) == kind:
                self.types(path, first, other['type'])
                return
        self._lacking(f'{path} as {kind}')

    def _alternate(self, path, a, b):
        for member in a['members']:
            self._one_of(path, member['type'], b)


def lacks(first, second):
    """Paths such as 'blockdev-add arg.driver=rbd' that the second has not."""
    return Walk(first, second).roots()
