# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The -object page: each object given through libvirt's <qemu:commandline>, and
used where something uses it."""

import base64
import json
import os

from ...vhostuser import Peer
from ...x509 import openssl
from .. import host_cannot
from ..suite import case, check, expect

SECTION = 'The -object page'
IMAGES = '/var/lib/libvirt/images'
RULES = {'rules': [{'match': 'fred', 'policy': 'allow', 'format': 'exact'}],
         'policy': 'deny'}


def arguments(*words):
    return '<qemu:commandline>' + ''.join(
        f"<qemu:arg value='{word}'/>" for word in words) \
        + '</qemu:commandline>'


def with_object(env, text, *more):
    """A guest with this object, which is seen in QOM."""
    guest = env.domain(extra=arguments('-object', text, *more)).start()
    name = dict(word.split('=', 1) for word in text.split(',')
                if '=' in word)['id']
    kinds = {each['name']: each['type']
             for each in guest.qmp('qom-list', path='/objects')}
    check(name in kinds, f'{name} is not among {sorted(kinds)}')
    return guest, kinds[name]


def scratch(env, name, text):
    os.makedirs(IMAGES, exist_ok=True)
    path = os.path.join(IMAGES, name)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    os.chmod(path, 0o644)
    env.at_end(lambda: os.unlink(path))
    return path


def seen(kind):
    return f'qom-list /objects: {kind}'


@case('object-cryptodev', SECTION,
      '-object cryptodev-vhost-user,id=cryptodev0,chardev=chardev0')
def cryptodev(env):
    path = os.path.join(IMAGES, 'crypto.sock')
    os.makedirs(IMAGES, exist_ok=True)
    peer = Peer(path)
    peer.start()
    env.at_end(peer.close)
    guest = env.domain(extra=arguments(
        '-chardev', f'socket,id=chardev0,path={path}', '-object',
        'cryptodev-vhost-user,id=cryptodev0,chardev=chardev0', '-device',
        'virtio-crypto-pci,id=crypto0,cryptodev=cryptodev0,addr=0x1e')).start()
    used = {info['id']: [client['type'] for client in info['client']]
            for info in guest.qmp('query-cryptodev')}
    expect(used, {'cryptodev0': ['vhost-user']}, 'query-cryptodev')
    return 'query-cryptodev: vhost-user; the other side is a stand-in'


@case('object-secret', SECTION, '-object secret,id=sec0,data=letmein,'
      'format=raw')
def secret(env):
    _, kind = with_object(env, 'secret,id=sec0,data=letmein,format=raw')
    return seen(kind) + '; the password is on the command line'


@case('object-secret-file', SECTION,
      '-object secret,id=sec0,file=mypasswd.txt,format=raw')
def secret_file(env):
    path = scratch(env, 'mypasswd.txt', 'letmein')
    _, kind = with_object(env, f'secret,id=sec0,file={path},format=raw')
    return seen(kind)


@case('object-secret-aes', SECTION, '-object secret,id=sec0,keyid=secmaster0,'
      'format=base64,data=...,iv=...')
def secret_aes(env):
    key, iv = os.urandom(32), os.urandom(16)
    plain = scratch(env, 'plain.txt', 'letmein')
    path = scratch(env, 'key.b64', base64.b64encode(key).decode())
    cipher = openssl('enc', '-aes-256-cbc', '-a', '-K', key.hex(), '-iv',
                     iv.hex(), '-in', plain).strip()
    _, kind = with_object(
        env, f'secret,id=secmaster0,format=base64,file={path}', '-object',
        f'secret,id=sec0,keyid=secmaster0,format=base64,data={cipher},'
        f'iv={base64.b64encode(iv).decode()}')
    return seen(kind) + '; AES-256-CBC, deciphered with secmaster0'


@case('object-sev-guest', SECTION,
      '-object sev-guest,id=sev0,cbitpos=47,reduced-phys-bits=5')
def sev_guest(env):
    _, kind = with_object(
        env, 'sev-guest,id=sev0,cbitpos=47,reduced-phys-bits=5')
    if not os.path.exists('/dev/sev'):
        raise host_cannot(f'it has no /dev/sev; {seen(kind)}, but no guest '
                          'that is encrypted')
    return seen(kind)


@case('object-authz-simple', SECTION, "-object 'authz-simple,id=auth0,"
      "identity=CN=laptop.example.com,,O=...'")
def authz_simple(env):
    guest, kind = with_object(
        env, 'authz-simple,id=auth0,identity=CN=laptop.example.com')
    expect(guest.get('/objects/auth0', 'identity'), 'CN=laptop.example.com',
           'the identity')
    return seen(kind) + "; a comma within is written ',,'"


@case('object-authz-listfile', SECTION,
      '-object authz-listfile,id=auth0,filename=/etc/qemu/vnc-sasl.acl,'
      'refresh=on')
def authz_listfile(env):
    path = scratch(env, 'vnc-sasl.acl', json.dumps(RULES))
    _, kind = with_object(
        env, f'authz-listfile,id=auth0,filename={path},refresh=on')
    return (seen(kind) + "; the page's example says authz-simple, and its "
            'rules have commas that JSON has not')


@case('object-authz-pam', SECTION,
      '-object authz-pam,id=auth0,service=qemu-vnc')
def authz_pam(env):
    guest, kind = with_object(env, 'authz-pam,id=auth0,service=qemu-vnc')
    expect(guest.get('/objects/auth0', 'service'), 'qemu-vnc', 'the service')
    return seen(kind)


@case('object-iothread', SECTION, '-object iothread,id=iothread1,'
      'poll-max-ns=...,poll-grow=...,poll-shrink=...,aio-max-batch=...')
def iothread(env):
    guest, _ = with_object(env, 'iothread,id=own1,poll-max-ns=50000,'
                           'poll-grow=3,poll-shrink=2,aio-max-batch=8')
    info = guest.iothreads()['own1']
    seen_values = {name: info[name] for name in (
        'poll-max-ns', 'poll-grow', 'poll-shrink', 'aio-max-batch')}
    expect(seen_values, {'poll-max-ns': 50000, 'poll-grow': 3,
                         'poll-shrink': 2, 'aio-max-batch': 8},
           'query-iothreads')
    return 'query-iothreads: 50000, 3, 2, 8'


@case('object-iothread-set', SECTION,
      '(qemu) qom-set /objects/iothread1 poll-max-ns 100000')
def iothread_set(env):
    guest, _ = with_object(env, 'iothread,id=own1')
    guest.qmp('human-monitor-command', command_line='qom-set /objects/own1 '
              'poll-max-ns 100000')
    expect(guest.iothreads()['own1']['poll-max-ns'], 100000, 'poll-max-ns')
    return 'query-iothreads: poll-max-ns 100000 while running'
