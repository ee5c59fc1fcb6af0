# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""How distributions start qemu-ga, and what is blocked and allowed then.

Arguments are as the service manager gives them: systemd makes one argument of
"${VAR}", be it empty, and as many of "$VAR" as there are words."""

from collections import namedtuple

Start = namedtuple('Start', 'args block allow absent', defaults=((),))

FILES = ('guest-file-open,guest-file-close,guest-file-read,guest-file-write,'
         'guest-file-seek,guest-file-flush')
EXEC = 'guest-exec,guest-exec-status'
# RHEL 9.4 and later, CentOS Stream, Fedora: FILTER_RPC_ARGS
RHEL_ALLOWS = (
    'guest-sync-delimited,guest-sync,guest-ping,guest-get-time,guest-set-time,'
    'guest-info,guest-shutdown,guest-fsfreeze-status,guest-fsfreeze-freeze,'
    'guest-fsfreeze-freeze-list,guest-fsfreeze-thaw,guest-fstrim,'
    'guest-suspend-disk,guest-suspend-ram,guest-suspend-hybrid,'
    'guest-network-get-interfaces,guest-get-vcpus,guest-set-vcpus,'
    'guest-get-disks,guest-get-fsinfo,guest-set-user-password,'
    'guest-get-memory-blocks,guest-set-memory-blocks,'
    'guest-get-memory-block-info,guest-get-host-name,guest-get-users,'
    'guest-get-timezone,guest-get-osinfo,guest-get-devices,'
    'guest-ssh-get-authorized-keys,guest-ssh-add-authorized-keys,'
    'guest-ssh-remove-authorized-keys,guest-get-diskstats,guest-get-cpustats')
# The hardened list that NixOS configurations copy from each other
NIXOS_BLOCKS = (
    f'guest-set-time,{FILES},guest-get-fsinfo,guest-set-user-password,'
    f'guest-get-memory-blocks,guest-set-memory-blocks,{EXEC},guest-get-users,'
    'guest-get-osinfo,guest-get-devices,guest-ssh-get-authorized-keys,'
    'guest-ssh-add-authorized-keys,guest-ssh-remove-authorized-keys')
HOOK = '-F/etc/qemu-ga/fsfreeze-hook'
OTHERS = ('guest-get-devices',)


def start(*args, block='', allow='', absent=()):
    return Start(args, set(filter(None, block.split(','))),
                 set(filter(None, allow.split(','))), absent)


STARTS = {
    'RHEL 7 and 8, openEuler: --blacklist=${BLACKLIST_RPC}': start(
        f'--blacklist={FILES},{EXEC}', HOOK, block=f'{FILES},{EXEC}'),
    'the same with BLACKLIST_RPC= emptied': start('--blacklist=', '-F'),
    'RHEL 9.0: --block-rpcs=${BLOCK_RPCS}': start(
        f'--block-rpcs={FILES},{EXEC}', HOOK, block=f'{FILES},{EXEC}'),
    'the same with BLOCK_RPCS= emptied': start('--block-rpcs=', HOOK),
    'RHEL 9.4 and 10: ${FILTER_RPC_ARGS}': start(
        f'--allow-rpcs={RHEL_ALLOWS}', HOOK, allow=RHEL_ALLOWS, absent=OTHERS),
    'with the route, which 9.2 brought': start(
        f'--allow-rpcs={RHEL_ALLOWS},guest-network-get-route', HOOK,
        allow=f'{RHEL_ALLOWS},guest-network-get-route', absent=OTHERS),
    'FILTER_RPC_ARGS="" of guides that want guest-exec': start('', HOOK),
    'openSUSE: FILTER_RPC_ARGS="--block-rpcs=..."': start(
        f'--block-rpcs={EXEC}', HOOK, block=EXEC),
    'an empty variable between a list and what follows': start(
        '-b', EXEC, '', 'guest-file-open', '', '-v', '',
        block=f'{EXEC},guest-file-open'),
    'Debian: no argument': start(),
    'Debian, without systemd: $DAEMON_ARGS': start('--daemonize'),
    'NixOS': start('--statedir', '/run/qemu-ga'),
    'NixOS, hardened': start(
        '--statedir', '/run/qemu-ga', f'--block-rpcs={NIXOS_BLOCKS}',
        block=NIXOS_BLOCKS, absent=OTHERS),
}
