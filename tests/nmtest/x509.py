# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Certificates for tests, made by openssl: an authority, a server, clients."""

import os
import shutil

from nmtools import ToolError

from .built import output_of

EXTENSIONS = {
    'ca': 'basicConstraints=critical,CA:TRUE\n'
          'keyUsage=critical,keyCertSign\n',
    'server': 'basicConstraints=critical,CA:FALSE\n'
              'keyUsage=critical,digitalSignature,keyEncipherment\n'
              'extendedKeyUsage=serverAuth\n'
              'subjectAltName=DNS:localhost\n',
    'client': 'basicConstraints=critical,CA:FALSE\n'
              'keyUsage=critical,digitalSignature,keyEncipherment\n'
              'extendedKeyUsage=clientAuth\n',
}


def openssl(*args):
    code, out, err = output_of('openssl', *args)
    if code:
        raise ToolError(f'openssl {args[0]} failed: {err.strip()[-200:]}')
    return out


class Authority:
    """Makes folders as tls-creds-x509 wants them below FOLDER."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, 'x509')
        os.mkdir(self.folder)
        self._make(self.folder, 'ca', 'CN=authority', ())

    def _make(self, folder, kind, subject, signer):
        key, request, cert, extensions = (
            os.path.join(folder, kind + end)
            for end in ('-key.pem', '-req.pem', '-cert.pem', '.ext'))
        with open(extensions, 'w', encoding='ascii') as file:
            file.write(EXTENSIONS[kind])
        openssl('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj',
                '/' + subject, '-keyout', key, '-out', request)
        openssl('x509', '-req', '-in', request, '-days', '2', '-extfile',
                extensions, '-out', cert, *(signer or ('-signkey', key)))

    def issue(self, kind, name):
        """A folder with a certificate of a server or client."""
        folder = os.path.join(self.folder, f'{kind}-{name}')
        os.mkdir(folder)
        ca = os.path.join(self.folder, 'ca-cert.pem')
        shutil.copy(ca, folder)
        self._make(folder, kind, f'CN={name}',
                   ('-CA', ca, '-CAkey',
                    os.path.join(self.folder, 'ca-key.pem'),
                    '-CAcreateserial'))
        return folder
