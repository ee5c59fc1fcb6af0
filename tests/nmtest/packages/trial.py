# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Packages on a Debian that has the distribution's libvirt and QEMU: installed,
used by a domain, updated while it runs, downgraded, removed, purged.

It changes the system that it runs on; scripts/test-packages gives it one."""

import glob
import os
import re
import shutil
import subprocess
import sys
import time

from nmtools import ToolError

from ..kit import kit_file, make_kit
from ..testing import run
from . import page
from .system import (Domain, apt, changed, do, files, installed, owned,
                     start_libvirt, stop_libvirt)

BIN = '/usr/lib/nearmetal/bin'
THEIRS = ('qemu-system-x86', 'qemu-system-common', 'qemu-utils',
          'libvirt-daemon-system', 'libvirt-clients', 'apparmor')
OURS = ('nearmetal', 'nearmetal-modules', 'nearmetal-doc')
TOOLS = ('host-check', 'iothread-top', 'iothread-tune', 'measured-boot',
         'msix-check', 'topology-report')
BOOT = 600
IMAGES = '/var/lib/libvirt/images'
XML = '''\
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>vm1</name>
  <memory unit='MiB'>256</memory>
  <vcpu>1</vcpu>
  <iothreads>1</iothreads>
  <os><type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{images}/vmlinuz</kernel>
    <initrd>{images}/initrd</initrd>
    <cmdline>console=ttyS0 panic=-1</cmdline></os>
  <features><acpi/></features>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none' io='native' iothread='1'/>
      <source file='{images}/vm1.raw'/><target dev='vda' bus='virtio'/>
    </disk>
    <serial type='file'><source path='{images}/vm1.console'/></serial>
    <channel type='unix'>
      <target type='virtio' name='nearmetal.control'/></channel>
    <memballoon model='none'/>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-set'/>
    <qemu:arg value='object.iothread1.poll-max-ns=50000'/>
  </qemu:commandline>
</domain>
'''
THEIR_XML = re.sub(r'  <qemu:commandline>.*</qemu:commandline>\n', '', XML,
                   flags=re.S)


class Trial:
    """One system and the packages in a folder."""

    def __init__(self, checks, folder):
        self._checks, self.folder = checks, folder
        self.vm = Domain('vm1')

    def check(self, good, text, detail=''):
        return self._checks.check(good, text, detail)

    def debs(self, names, folder=None):
        found = []
        for name in names:
            paths = glob.glob(os.path.join(folder or self.folder,
                                           f'{name}_*.deb'))
            if len(paths) != 1:
                raise ToolError(f'{len(paths)} packages {name} in '
                                f'{folder or self.folder}')
            found.append(os.path.abspath(paths[0]))
        return found

    # --- a domain -----------------------------------------------------------

    def prepare_images(self):
        make_kit('x86_64')
        os.makedirs(IMAGES, exist_ok=True)
        shutil.copy(kit_file('x86_64', 'vmlinuz'), f'{IMAGES}/vmlinuz')
        shutil.copy(kit_file('x86_64', 'initramfs.cpio.gz'),
                    f'{IMAGES}/initrd')
        with open(f'{IMAGES}/vm1.raw', 'wb') as file:
            file.truncate(64 << 20)
        do('chmod', '-R', 'a+rX', IMAGES)

    def boot(self, emulator, xml):
        """Define, start, and wait until the guest says that it is up."""
        self.destroy()
        console = f'{IMAGES}/vm1.console'
        if os.path.exists(console):
            os.unlink(console)
        path = '/tmp/vm1.xml'
        with open(path, 'w', encoding='utf-8') as file:
            file.write(xml.format(emulator=emulator, images=IMAGES))
        do('virsh', '-q', 'define', path)
        do('virsh', '-q', 'start', 'vm1')
        end = time.monotonic() + BOOT
        text = ''
        while 'nearmetal-guest: ready' not in text:
            if time.monotonic() > end:
                raise ToolError(f'the guest is not up in {BOOT} s', text)
            time.sleep(0.5)
            if os.path.exists(console):
                with open(console, encoding='utf-8',
                          errors='replace') as file:
                    text = file.read()
        return True

    def destroy(self):
        subprocess.run(['virsh', '-q', 'destroy', 'vm1'], check=False,
                       capture_output=True)
        if self.vm.name in do('virsh', '-q', 'list', '--all', '--name'):
            self.vm.virsh('undefine')

    # --- steps --------------------------------------------------------------

    def other_release(self):
        """dpkg, which does not look at dependencies first, on another Debian."""
        path = '/etc/os-release'
        with open(path, encoding='utf-8') as file:
            text = file.read()
        code = re.search(r'^VERSION_CODENAME=(\w+)$', text, re.M)[1]
        other = {'bookworm': 'trixie', 'trixie': 'bookworm'}[code]
        link = os.readlink(path)
        os.unlink(path)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text.replace(code, other))
        try:
            for package in ('nearmetal', 'nearmetal-guest-agent'):
                done = subprocess.run(
                    ['dpkg', '-i', *self.debs([package])], check=False,
                    capture_output=True, text=True)
                self.check(done.returncode == 1 and
                           f'{package}: this package is for Debian {code}, '
                           f'and here is {other}; scripts/package deb '
                           f'--release {other} makes' in done.stderr,
                           f'{package} refuses another Debian', done)
                self.check(installed(package) is None,
                           'and is not installed', done)
        finally:
            os.unlink(path)
            os.symlink(link, path)

    def install(self):
        for package in THEIRS:
            self.check(not changed(package), f'{package} is as it came')
        before = files()
        self.other_release()
        self.check(files() == before, 'another Debian: nothing is left',
                   sorted(files() - before)[:10])
        before_path = shutil.which('qemu-img')
        list(self.follow('Install', 'apt install ./nearmetal_', 'host-check',
                         '--version', fails=['host-check']))
        apt('install', *self.debs(OURS))
        for package in (*THEIRS, *OURS):
            self.check(not changed(package),
                       f'{package} is as it came with ours beside it',
                       changed(package))
        self.check(shutil.which('qemu-img') == before_path,
                   'qemu-img is the distribution\'s')
        for tool in TOOLS:
            do(tool, '-h')
            self.check(os.path.exists(f'/usr/share/man/man1/{tool}.1.gz'),
                       f'{tool} runs, and has a manual')
        self.check('nearmetal' in do(f'{BIN}/qemu-system-x86_64', '--version'),
                   'the emulator says who it is')
        return before

    def apparmor(self):
        """The profile that libvirt ships lets our emulator be started."""
        profile = '/etc/apparmor.d/usr.sbin.libvirtd'
        do('apparmor_parser', '--skip-kernel-load', '--skip-cache', profile)
        text = do('apparmor_parser', '--preprocess', '--skip-cache', profile)
        self.check(BIN in text, 'libvirtd may start our emulator')
        template = '/tmp/libvirt-test'
        with open(template, 'w', encoding='utf-8') as file:
            file.write('#include <tunables/global>\nprofile libvirt-test {\n'
                       '  #include <abstractions/libvirt-qemu>\n}\n')
        do('apparmor_parser', '--skip-kernel-load', '--skip-cache', template)
        text = do('apparmor_parser', '--preprocess', '--skip-cache', template)
        self.check(f'{BIN}/' in text, 'a domain may run our emulator')

    def apparmor_of_domain(self):
        """What libvirt writes for the domain beside that can be read."""
        xml = '/tmp/vm1-running.xml'
        with open(xml, 'w', encoding='utf-8') as file:
            file.write(self.vm.virsh('dumpxml'))
        uuid = self.vm.virsh('domuuid').strip()
        with open(xml, encoding='utf-8') as file:
            done = subprocess.run(
                ['/usr/lib/libvirt/virt-aa-helper', '-d', '-c', '-u',
                 f'libvirt-{uuid}'], stdin=file, capture_output=True,
                text=True, check=False)
        text = done.stdout + done.stderr
        self.check(done.returncode == 0 and f'{IMAGES}/vm1.raw' in text,
                   'virt-aa-helper makes the rules of the domain', text)

    # --- the page -----------------------------------------------------------

    def follow(self, heading, *words, fails=()):
        """The commands of a section of docs/deploy.md that have one of WORDS, or
        all; those that begin with one of FAILS may find something."""
        for command in page.commands(heading):
            if words and not any(word in command for word in words):
                continue
            try:
                out = do('sh', '-c', command, cwd=self.folder)
            except ToolError as error:
                self.check(command.startswith(tuple(fails))
                           and ': status 1: ' in str(error),
                           f'docs/deploy.md, {heading}: {command}', error)
            else:
                self.check(True, f'docs/deploy.md, {heading}: '
                           + command.split('\n', maxsplit=1)[0])
                yield command, out

    def page_in(self):
        """Into it with the VM off, checked, and back."""
        self.boot('/usr/bin/qemu-system-x86_64', THEIR_XML)
        self.vm.virsh('destroy')
        list(self.follow('Name the emulator'))
        found = dict(self.follow('Check', 'query-nearmetal', 'host-check',
                                 fails=['host-check']))
        self.check(any('"distribution"' in out for out in found.values()),
                   'the check of the page tells what it runs on', found)
        list(self.follow('Update', 'for vm'))
        do('sh', '-c', 'virsh define vm1.old.xml', cwd=self.folder)
        self.vm.virsh('destroy')

    def page_migration(self):
        """A running VM, on this host."""
        self.boot('/usr/bin/qemu-system-x86_64', THEIR_XML)
        list(self.follow('Migrate a running VM in', 'dumpxml', 'virsh save',
                         'restore', 'sed -i', 'rm '))
        self.check(self.vm.qmp('query-nearmetal')['features']
                   == 'distribution', 'it runs on ours')
        self.vm.virsh('destroy')

    def page_remove(self):
        """No VM names it, as the page finds it; then it goes."""
        for command, out in self.follow('Remove', 'grep', 'apt purge',
                                        fails=['grep']):
            self.check('apt' in command or not out.strip(),
                       'no VM names it any more', out)

    def use(self):
        self.check(self.boot(f'{BIN}/qemu-system-x86_64', XML),
                   'a domain boots')
        self.check(self.vm.qmp('query-nearmetal')['features']
                   == 'distribution', 'query-nearmetal tells the features')
        threads = {t['id']: t for t in self.vm.qmp('query-iothreads')}
        self.check(threads['iothread1']['poll-max-ns'] == 50000,
                   'what the XML sets is set', threads)
        self.vm.qmp('qom-set', path='/objects/iothread1',
                    property='poll-policy', value='classic')
        self.apparmor_of_domain()
        out = do('iothread-top', '--batch', '-n', '1', 'libvirt:vm1')
        self.check('classic' in out, 'iothread-top shows it', out)

    def next_version(self):
        """The same packages with a later version; the folder."""
        folder = '/tmp/next'
        os.makedirs(folder, exist_ok=True)
        for path in self.debs(OURS):
            tree = '/tmp/next-tree'
            shutil.rmtree(tree, ignore_errors=True)
            do('dpkg-deb', '-R', path, tree)
            control = f'{tree}/DEBIAN/control'
            with open(control, encoding='utf-8') as file:
                text = file.read()
            version = re.search(r'^Version: (.*)$', text, re.M)[1]
            with open(control, 'w', encoding='utf-8') as file:
                file.write(text.replace(version, version + '+next'))
            do('dpkg-deb', '-Znone', '-b', tree, folder)
        return folder

    def update(self):
        """While the domain runs, and back."""
        pid, version = self.vm.pid(), installed('nearmetal')
        folder = self.next_version()
        apt('install', *self.debs(OURS, folder))
        self.check(installed('nearmetal') == version + '+next',
                   'it is updated')
        self.check(self.vm.pid() == pid and os.path.exists(f'/proc/{pid}')
                   and self.vm.virsh('domstate').strip() == 'running',
                   'the domain runs on')
        do('virsh', '-q', 'iothreadadd', 'vm1', '2')
        self.check(len(self.vm.qmp('query-iothreads')) == 2,
                   'and can be changed')
        self.load_module()
        apt('install', *self.debs(OURS))
        self.check(installed('nearmetal') == version, 'it is downgraded')
        self.check(self.vm.virsh('domstate').strip() == 'running',
                   'the domain runs on')
        self.destroy()
        self.check(self.boot(f'{BIN}/qemu-system-x86_64', XML),
                   'and starts anew')

    def load_module(self):
        """A module that the running QEMU did not need before."""
        try:
            self.vm.qmp('blockdev-add', driver='ssh', node_name='n0',
                        server={'host': 'localhost', 'port': '1'},
                        path='none')
        except ToolError as error:
            self.check('Unknown driver' not in str(error), 'a module of its '
                       'own version is found after the update', error)
        else:
            self.check(False, 'a server that is not there')

    def remove(self, before):
        self.destroy()
        apt('remove', *OURS)
        self.check(not os.path.exists(f'{BIN}/qemu-system-x86_64'),
                   'it is removed')
        self.check(self.boot('/usr/bin/qemu-system-x86_64', THEIR_XML),
                   "a domain boots with the distribution's QEMU")
        self.destroy()
        self.page_remove()
        # What they depend on goes as well, or belongs to a package that stays
        do('apt-get', '-q', '-y', 'autoremove', '--purge')
        left = files() - before - owned()
        self.check(not left, 'nothing is left', sorted(left)[:10])
        gone = before - files()
        self.check(not gone, 'nothing else is gone', sorted(gone)[:10])
        for package in THEIRS:
            self.check(not changed(package), f'{package} is as it came')

    def agent(self):
        """The agent reads what the distribution's reads."""
        apt('install', *self.debs(['nearmetal-guest-agent']))
        os.makedirs('/etc/qemu', exist_ok=True)
        with open('/etc/qemu/qemu-ga.conf', 'w', encoding='utf-8') as file:
            file.write('[general]\nblock-rpcs=guest-file-open\n')
        out = do('qemu-ga', '--dump-conf', '-F')
        self.check('block-rpcs=guest-file-open' in out
                   and 'fsfreeze-hook=/etc/qemu/fsfreeze-hook' in out
                   and 'statedir=/run' in out.replace('/var/run', '/run'),
                   'the agent reads /etc/qemu, and keeps its state in /run',
                   out)
        os.unlink('/etc/qemu/qemu-ga.conf')
        unit = do('sh', '-c', 'cat /lib/systemd/system/qemu-guest-agent.service '
                  '/usr/lib/systemd/system/qemu-guest-agent.service 2>/dev/null'
                  ' | head -n 40')
        self.check('ExecStart' in unit and 'qemu-ga' in unit,
                   'it has a unit of systemd', unit)
        apt('purge', 'nearmetal-guest-agent')


def trial(checks, folder):
    it = Trial(checks, os.path.abspath(folder))
    # The page's commands ask, and there is nobody to answer
    with open('/etc/apt/apt.conf.d/zz-trial', 'w', encoding='ascii') as file:
        file.write('APT::Get::Assume-Yes "true";\n')
    apt('update')
    apt('install', *THEIRS)
    it.prepare_images()
    start_libvirt()
    try:
        it.check(it.boot('/usr/bin/qemu-system-x86_64', THEIR_XML),
                 "a domain boots with the distribution's QEMU")
        it.destroy()
        before = it.install()
        it.apparmor()
        it.page_in()
        it.page_migration()
        it.use()
        it.update()
        it.remove(before)
        it.agent()
    finally:
        it.destroy()
        stop_libvirt()


def main(folder):
    sys.argv = ['test-packages']
    run('Tries the packages in a folder on this system, which it changes.',
        lambda checks: trial(checks, folder))
