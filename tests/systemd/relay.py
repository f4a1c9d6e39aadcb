"""A mail relay on 127.0.0.1:2525. Appends the Message-ID and the subject of each message to the file in its argument, and
refuses the recipients refused@…"""

import email
import email.policy
import signal
import sys

from aiosmtpd.controller import Controller


class Keep:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("refused@"):
            return "550 there is nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 known"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        with open(sys.argv[1], "a", encoding="utf-8") as kept:
            kept.write(f"{message['Message-ID']} {message['Subject']}\n")
        return "250 kept"


Controller(Keep(), hostname="127.0.0.1", port=2525).start()
signal.sigwait([signal.SIGTERM])
sys.exit(0)
