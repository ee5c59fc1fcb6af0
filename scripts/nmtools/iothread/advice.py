# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A recommendation as lines to paste; pure."""

import re
import shlex

from .query import DEFAULTS, short
from .trial import qom_set, virsh

# What virsh iothreadset and <poll> take
IOTHREADSET = ('poll-max-ns', 'poll-grow', 'poll-shrink', 'thread-pool-min',
               'thread-pool-max')
POLL_ELEMENT = {'poll-max-ns': 'max', 'poll-grow': 'grow',
                'poll-shrink': 'shrink'}


def object_line(path, present, setting):
    """-object with all that differs from what QEMU starts with."""
    values = {**present, **setting}
    words = [f'{name}={values[name]}' for name in DEFAULTS
             if name in values
             and (values[name] != DEFAULTS[name] or name in setting)]
    return ','.join([f'-object iothread,id={short(path)}'] + words)


def changes(path, present, setting):
    """The qom-set commands from PRESENT to SETTING."""
    return [qom_set(path, name, value) for name, value in setting.items()
            if present.get(name) != value]


def libvirt_lines(path, present, setting, domain):
    """virsh commands: iothreadset where it knows the settings, else QMP."""
    number = re.fullmatch(r'iothread(\d+)', short(path))
    if number and set(setting) <= set(IOTHREADSET):
        words = ' '.join(f'--{name} {value}'
                         for name, value in setting.items())
        return [f'virsh iothreadset {shlex.quote(domain)} {number[1]} '
                f'{words} --live']
    return [virsh(command, domain)
            for command in changes(path, present, setting)]


def xml_line(path, present, setting):
    """The domain's XML, None if libvirt has no words for it."""
    number = re.fullmatch(r'iothread(\d+)', short(path))
    if not number or not set(setting) <= set(POLL_ELEMENT):
        return None
    values = {**present, **setting}
    words = ' '.join(f"{attribute}='{values[name]}'"
                     for name, attribute in POLL_ELEMENT.items()
                     if name in setting or values.get(name))
    return f"<iothread id='{number[1]}'><poll {words}/></iothread>"


def advise(present, setting, domain):
    """All forms, by IOThread: PRESENT has its values by path."""
    return [{
        'iothread': short(path),
        'object': object_line(path, values, setting),
        'qmp': changes(path, values, setting),
        'virsh': libvirt_lines(path, values, setting, domain or 'DOMAIN'),
        'xml': xml_line(path, values, setting),
    } for path, values in present.items()]
