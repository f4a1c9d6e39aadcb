"""Posts webhooks until its input ends, each about a new line and on a connection of its own. Then prints how many were
taken, how many connections were refused, and how many requests failed otherwise, and how."""

import collections
import http.client
import json
import sys
import threading
import time

ADDRESS, SECRET, NAME = sys.argv[1:]
CLIENTS = 4
came = collections.Counter(taken=0, refused=0, failed=0)
how = []
done = threading.Event()


def post(number):
    body = json.dumps({"type": "DisconnectedCallback", "instanceId": f"load-{NAME}-{number}", "error": "gone"})
    connection = http.client.HTTPConnection(ADDRESS, timeout=30)
    try:
        connection.request("POST", f"/hooks/z-api/{SECRET}", body, {"content-type": "application/json"})
        status = connection.getresponse().status
        if status == 200:
            return "taken"
        how.append(f"{number}: {status}")
    except ConnectionRefusedError:
        return "refused"
    except (OSError, http.client.HTTPException) as error:
        how.append(f"{number}: {error!r}")
    finally:
        connection.close()
    return "failed"


def client(first):
    number = first
    while not done.is_set():
        came[post(number)] += 1
        number += CLIENTS
        time.sleep(0.01)


clients = [threading.Thread(target=client, args=(first,)) for first in range(CLIENTS)]
for one in clients:
    one.start()
sys.stdin.read()
done.set()
for one in clients:
    one.join()
print(f"{came['taken']} taken, {came['refused']} refused, {came['failed']} failed", *how)
