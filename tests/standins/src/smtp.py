"""A real SMTP server (aiosmtpd) that can be told to misbehave.

smtp.rs starts it with its options as JSON in the first argument. Orders come as JSON lines on the standard input; each is
answered by {"done": true, "hanging": …}. Events are reported as JSON lines on the standard output. It ends with its input.
"""

import asyncio
import itertools
import json
import re
import ssl
import sys


def report(**what):
    print(json.dumps(what), flush=True)


try:
    from aiosmtpd.smtp import SMTP, AuthResult
except ImportError:
    report(missing=True)
    sys.exit(1)

OPTIONS = json.loads(sys.argv[1])
# The plans for the next occurrences of each command.
PLANS = {}
HUNG = set()
LIVE = set()
NUMBERS = itertools.count(1)
# cut-anything@…
CUT = re.compile(r"to:\s*<cut-", re.IGNORECASE)
# 450-anything@… or 452-4.3.1-anything@…
SCRIPTED = re.compile(r"to:\s*<([45]\d\d)(?:-([45]\.\d+\.\d+))?-", re.IGNORECASE)


def next_plan(command):
    plans = PLANS.get(command)
    if not plans:
        return None
    plan = plans[0]
    plan["times"] -= 1
    if plan["times"] <= 0:
        plans.pop(0)
    return plan


def authenticate(server, session, envelope, mechanism, data):
    given = [data.login.decode(), data.password.decode()]
    session.account = given[0]
    return AuthResult(success=given == OPTIONS["login"], handled=False)


class Server(SMTP):
    def __init__(self):
        starttls = context() if OPTIONS["encryption"] == "starttls" else None
        super().__init__(
            self,
            hostname="standin.test",
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=authenticate,
            auth_required=OPTIONS["login"] is not None,
            auth_require_tls=starttls is not None,
        )
        self.number = next(NUMBERS)
        self.added = ""
        self.words = ""
        commands = dict(self._smtp_methods)
        self._smtp_methods = {name: self.planned(name, method) for name, method in commands.items()}

    def connection_made(self, transport):
        LIVE.add(self)
        super().connection_made(transport)

    def connection_lost(self, error):
        LIVE.discard(self)
        super().connection_lost(error)

    async def _handle_client(self):
        if not await self.follow("CONNECT"):
            await super()._handle_client()

    def planned(self, name, method):
        async def run(argument):
            if name == "MAIL":
                self.in_one_piece = bool(self._reader._buffer)
            scripted = SCRIPTED.match(argument or "") if name == "RCPT" else None
            if scripted:
                code, enhanced = scripted.groups()
                await self.push(f"{code} {enhanced or code[0] + '.1.1'} as scripted")
            elif name == "RCPT" and CUT.match(argument or ""):
                self.transport.close()
            elif name == "DATA" and PLANS.get("CONTENT"):
                await self.push("354 go on")
                await self._reader.readline()
                await self.follow("CONTENT")
            elif not await self.follow(name):
                await method(argument)

        return run

    async def follow(self, command):
        plan = next_plan(command)
        if plan is None:
            return False
        if plan["does"] == "hang":
            await hang(self.transport)
        elif plan["does"] == "close":
            self.transport.close()
        elif plan["does"] == "babble":
            await self.babble()
        elif plan["does"] == "add":
            self.added = plan["line"]
            return False
        elif plan["does"] == "say":
            self.words = plan["line"]
            return False
        else:
            await self.push(plan["line"])
        return True

    async def babble(self):
        while not self.transport.is_closing():
            self._writer.write(b"x" * 65536)
            await self._writer.drain()
            # drain() may return at once; without this, the loop would never notice that the client has left.
            await asyncio.sleep(0)

    async def push(self, status):
        added, self.added = self.added, ""
        words, self.words = self.words, ""
        if words:
            self._writer.write(words.encode("latin-1"))
            await self._writer.drain()
        elif added:
            self._writer.write(f"{status}\r\n{added}".encode())
            await self._writer.drain()
        else:
            await super().push(status)

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return [responses[0], *["250-PIPELINING"][: OPTIONS["pipelining"]], *responses[1:]]

    async def handle_DATA(self, server, session, envelope):
        transport = self.transport
        plan = next_plan("DOT")
        report(
            received={
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "raw": envelope.original_content.decode("utf-8", "replace"),
                "encrypted": transport.get_extra_info("sslcontext") is not None,
                "account": getattr(session, "account", None),
                "connection": self.number,
                "in_one_piece": self.in_one_piece,
                "taken": plan is None or plan["line"].startswith("2"),
            }
        )
        if plan is None:
            return f"250 2.0.0 Ok: queued as STANDIN{self.number}"
        if plan["does"] == "hang":
            await hang(transport)
        if plan["does"] == "close":
            transport.abort()
        if plan["does"] == "babble":
            await self.babble()
        if plan["does"] == "say":
            self.words = plan["line"]
        return plan["line"]


async def hang(transport):
    HUNG.add(transport)
    await asyncio.Event().wait()


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(OPTIONS["certificate"], OPTIONS["key"])
    return made


async def listen(port):
    loop = asyncio.get_running_loop()
    tls = context() if OPTIONS["encryption"] == "implicit" else None
    return await loop.create_server(Server, "127.0.0.1", port, ssl=tls)


async def main():
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    server = await listen(0)
    port = server.sockets[0].getsockname()[1]
    report(listening=port)
    while line := await orders.readline():
        order = json.loads(line)
        if "plan" in order:
            PLANS.setdefault(order["plan"], []).append(order)
        elif "behave" in order:
            PLANS.clear()
            for each in list(HUNG):
                each.abort()
            HUNG.clear()
        elif order.get("listen"):
            server = await listen(port)
        elif "listen" in order:
            server.close()
            for each in list(LIVE):
                each.transport.abort()
        report(done=True, hanging=len(HUNG))


asyncio.run(main())
