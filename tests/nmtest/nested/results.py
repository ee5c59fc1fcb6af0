# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What was checked and measured, for people and as JSON."""

import json
import sys
import time

from nmtools import table

from ..testing import SKIPPED

COLUMNS = (('case', 'case'), ('controller', 'controller'),
           ('page', 'host page'), ('table', 'MSI-X table'),
           ('direct', 'doorbells'), ('requests', 'requests'),
           ('doorbells', 'doorbell writes'), ('trapped', 'trapped per 1000'),
           ('counted', 'counted'), ('interrupts', 'interrupts'),
           ('seconds', 'seconds'))


class Results:
    """Lines of PASS, FAIL and SKIP as they come, then tables."""

    def __init__(self, as_json):
        self._json = as_json
        self._out = sys.stderr if as_json else sys.stdout
        self._begin = time.monotonic()
        self.checks = []
        self.figures = []

    def say(self, text):
        """Progress, with the seconds since the start."""
        print(f'{time.monotonic() - self._begin:7.1f}s  {text}',
              file=self._out, flush=True)

    def _add(self, status, text, detail):
        self.checks.append({'status': status, 'text': text, 'detail': detail})
        print(f'{status}  {text}' + (f': {detail}' if detail else ''),
              file=self._out, flush=True)

    def check(self, good, text, detail=''):
        """DETAIL: what was found; shown when that was wrong."""
        self._add('PASS' if good else 'FAIL', text, '' if good else detail)
        return bool(good)

    def skip(self, text, reason):
        self._add('SKIP', text, reason)

    def figure(self, **values):
        self.figures.append(values)

    def count(self, status):
        return sum(check['status'] == status for check in self.checks)

    def _table(self):
        """All figures, without the columns that no case has."""
        columns = [(key, title) for key, title in COLUMNS
                   if any(figure.get(key) is not None
                          for figure in self.figures)]
        rows = [[_shown(figure.get(key)) for key, _ in columns]
                for figure in self.figures]
        print('\n'.join(table.lines([title for _, title in columns], rows,
                                    left=range(len(columns)))),
              file=self._out)

    def finish(self):
        """The tables and the last line; the exit status."""
        if self.figures:
            print(file=self._out)
            self._table()
            print(file=self._out)
        if self._json:
            json.dump({'checks': self.checks, 'figures': self.figures},
                      sys.stdout, indent=2)
            print()
        skipped = self.count('SKIP')
        print(f"{self.count('PASS')} passed, {self.count('FAIL')} failed"
              + (f', {skipped} skipped' if skipped else ''), file=self._out)
        if self.count('FAIL'):
            return 1
        return 0 if self.count('PASS') else SKIPPED


def _shown(value):
    if value is None:
        return '-'
    if isinstance(value, bool):
        return 'direct' if value else 'trapped'
    return str(value)
