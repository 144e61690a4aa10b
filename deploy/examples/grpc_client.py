#!/usr/bin/env python3
"""Publishes an event, and receives those of an inbox, with grpcio.

docs/grpc.md says how the stubs are made, and what a client has to know.

    export PYTHONPATH=stubs WISSEL_SERVER=https://localhost:7400 WISSEL_CA=dev-ca/ca.pem
    export WISSEL_TOKEN_FILE=token          # or WISSEL_CERT and WISSEL_KEY
    grpc_client.py publish event.json
    grpc_client.py receive 00000001002220647000.inwoners --count 10
"""

import argparse
import base64
import json
import os
import queue
import sys
import time
from urllib.parse import urlsplit

import grpc
from google.rpc import error_details_pb2, status_pb2
from wissel.cloudevents.v1 import cloudevents_pb2
from wissel.v1 import publishing_pb2, publishing_pb2_grpc
from wissel.v1 import subscribing_pb2, subscribing_pb2_grpc

PUBLISH_SECONDS = 60
CREDIT = 100
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10

OPTIONS = [
    # grpcio itself would wait up to two minutes before it connects again.
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # A gateway that fell silent is noticed, also by who only waits for messages.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
]


# --- Calling -------------------------------------------------------------------------------------


def content_of(variable):
    """What is in the file that a variable names; None when it is not set."""
    path = os.environ.get(variable)
    if not path:
        return None
    with open(path, "rb") as file:
        return file.read()


def connect():
    """A channel to the gateway: with https its certificate is checked, and ours shown."""
    server = urlsplit(os.environ.get("WISSEL_SERVER", "http://127.0.0.1:7400"))
    if server.scheme not in ("http", "https") or not server.netloc:
        raise ValueError("WISSEL_SERVER: expected such as https://localhost:7400")
    if server.scheme == "http":
        return grpc.insecure_channel(server.netloc, OPTIONS)
    key, certificate = content_of("WISSEL_KEY"), content_of("WISSEL_CERT")
    # grpcio takes the process down with only one of them.
    if (key is None) != (certificate is None):
        raise ValueError("WISSEL_CERT and WISSEL_KEY: expected both or neither")
    credentials = grpc.ssl_channel_credentials(
        root_certificates=content_of("WISSEL_CA"),
        private_key=key,
        certificate_chain=certificate,
    )
    return grpc.secure_channel(server.netloc, credentials, OPTIONS)


def caller():
    """Who calls, unless a certificate says so. A file is read for each call, as tokens end."""
    metadata = []
    token = content_of("WISSEL_TOKEN_FILE")
    token = token.decode() if token else os.environ.get("WISSEL_TOKEN", "")
    if token:
        metadata.append(("authorization", f"Bearer {token.strip()}"))
    if os.environ.get("WISSEL_ON_BEHALF_OF"):
        metadata.append(("wissel-on-behalf-of", os.environ["WISSEL_ON_BEHALF_OF"]))
    return metadata


def wait(error, seconds):
    """Waits before a call is made again; how long to wait the next time."""
    print(f"{told(error)}; again in {seconds:g} s", file=sys.stderr)
    time.sleep(seconds)
    return min(2 * seconds, LONGEST_WAIT_SECONDS)


def told(error):
    """Why a call was refused: each thing that is at fault, on a line of its own."""
    reason, faults = error.code().name, []
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for detail in status_pb2.Status.FromString(value).details:
            info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info):
                reason = info.reason
            elif detail.Unpack(request):
                faults += [f"  {one.field}: {one.description}" for one in request.field_violations]
    return "\n".join([f"{reason}:", *faults]) if faults else f"{reason}: {error.details()}"


# --- Events: from the CloudEvents JSON format to protobuf, and back ------------------------------


def is_json(content_type):
    """Whether data of this type is JSON."""
    media_type = content_type.split(";")[0].strip().lower()
    return media_type.endswith(("/json", "+json"))


def to_protobuf(event):
    """An event as the gateway takes it. Whether it is a good one, the gateway says."""
    if not isinstance(event, dict):
        raise ValueError("expected one event, a JSON object")
    # An attribute that is null is absent. Data that is null is null.
    event = {name: one for name, one in event.items() if one is not None or name == "data"}
    required = {"id": "id", "source": "source", "spec_version": "specversion", "type": "type"}
    made = cloudevents_pb2.CloudEvent(
        **{field: text(name, event.pop(name, "")) for field, name in required.items()}
    )
    if "data_base64" in event:
        made.binary_data = base64.b64decode(
            text("data_base64", event.pop("data_base64")), validate=True
        )
    elif "data" in event:
        data = event.pop("data")
        # Without it data is JSON here, and anything in protobuf.
        content_type = event.setdefault("datacontenttype", "application/json")
        if is_json(text("datacontenttype", content_type)):
            made.text_data = json.dumps(data, ensure_ascii=False)
        else:
            made.text_data = text("data", data)
    for name, value in event.items():
        set_attribute(made.attributes[name], name, value)
    return made


def set_attribute(attribute, name, value):
    """Gives an attribute the type that it has in CloudEvents."""
    # A truth value is a number as well, in Python.
    if isinstance(value, bool):
        attribute.ce_boolean = value
    elif isinstance(value, int):
        if not -(2**31) <= value < 2**31:
            raise ValueError(f"{name}: expected a number of 32 bits, or a text")
        attribute.ce_integer = value
    elif name == "time":
        try:
            attribute.ce_timestamp.FromJsonString(text(name, value))
        except ValueError:
            raise ValueError("time: expected such as 2026-11-24T10:00:00Z") from None
    elif name == "dataschema":
        attribute.ce_uri = text(name, value)
    else:
        attribute.ce_string = text(name, value)


def text(name, value):
    """The value, which has to be a text. What stands there instead is not shown."""
    if not isinstance(value, str):
        raise ValueError(f"{name}: expected a text")
    return value


def to_json(event):
    """An event in the CloudEvents JSON format."""
    shown = {
        "specversion": event.spec_version,
        "id": event.id,
        "source": event.source,
        "type": event.type,
    }
    for name, attribute in event.attributes.items():
        kind = attribute.WhichOneof("attr")
        value = getattr(attribute, kind)
        if kind == "ce_timestamp":
            value = value.ToJsonString()
        elif kind == "ce_bytes":
            value = base64.b64encode(value).decode()
        shown[name] = value
    kind = event.WhichOneof("data")
    if kind == "text_data":
        is_text = not is_json(shown.get("datacontenttype", ""))
        shown["data"] = event.text_data if is_text else json.loads(event.text_data)
    elif kind == "binary_data":
        shown["data_base64"] = base64.b64encode(event.binary_data).decode()
    elif kind == "proto_data":
        shown.setdefault("datacontenttype", "application/protobuf")
        shown["data_base64"] = base64.b64encode(event.proto_data.value).decode()
    return shown


# --- Publishing ----------------------------------------------------------------------------------


def publish(channel, arguments):
    """Publishes one event, and prints its receipt as a line of JSON."""
    with open(arguments.file, encoding="utf-8") as file:
        event = to_protobuf(json.load(file))
    receipt = receipt_of(event, publishing_pb2_grpc.PublishingStub(channel))
    shown = {
        "message_id": receipt.message_id,
        "source": receipt.source,
        "id": receipt.id,
        "admitted_at": receipt.admitted_at.ToJsonString(),
        "inboxes": list(receipt.inboxes),
        "repeated": receipt.repeated,
        "warnings": [f"{one.field}: {one.description}" for one in receipt.warnings],
    }
    print(json.dumps(shown, ensure_ascii=False))


def receipt_of(event, publishing):
    """Publishes an event until it has its receipt, or the time for that is over.

    It may be published as often as needed: the same `source` and `id` get the first receipt.
    """
    request = publishing_pb2.PublishRequest(event=event)
    ends = time.monotonic() + PUBLISH_SECONDS
    seconds = FIRST_WAIT_SECONDS
    while True:
        try:
            left = max(ends - time.monotonic(), 0)
            return publishing.Publish(request, timeout=left, metadata=caller()).receipt
        except grpc.RpcError as error:
            in_time = time.monotonic() + seconds < ends
            if error.code() != grpc.StatusCode.UNAVAILABLE or not in_time:
                raise
            seconds = wait(error, seconds)


# --- Receiving -----------------------------------------------------------------------------------


class Receiver:
    """Receives from an inbox until the count is reached, or forever."""

    def __init__(self, channel, inbox, count):
        self.subscribing = subscribing_pb2_grpc.SubscribingStub(channel)
        self.inbox = inbox
        self.left = float("inf") if count is None else count
        self.is_open = False
        self.seconds = FIRST_WAIT_SECONDS

    def run(self):
        """Opens the inbox, and again whenever the gateway went away or the token ended."""
        while self.left > 0:
            try:
                self.receive()
            except grpc.RpcError as error:
                if self.left == 0:
                    lost = "it is not known whether the last of them are settled: they may come again"
                    print(lost, file=sys.stderr)
                    raise
                # Of a stream that was open it is the token that ended: now there is another.
                again = [grpc.StatusCode.UNAVAILABLE]
                again += [grpc.StatusCode.UNAUTHENTICATED] if self.is_open else []
                if error.code() not in again:
                    raise
                self.seconds = wait(error, self.seconds)

    def receive(self):
        """Handles what comes by one stream, to its end."""
        self.is_open = False
        # What is put here goes to the gateway; None says that nothing more will.
        requests = queue.SimpleQueue()
        # No more is taken than is wanted.
        opening = subscribing_pb2.Open(inbox=self.inbox, credit=int(min(self.left, CREDIT)))
        requests.put(subscribing_pb2.SubscribeRequest(open=opening))
        try:
            answers = self.subscribing.Subscribe(iter(requests.get, None), metadata=caller())
            for answer in answers:
                self.is_open, self.seconds = True, FIRST_WAIT_SECONDS
                # The others say that the stream is open, or that a lease ended before its
                # delivery was settled: that comes again.
                for delivery in answer.deliveries.deliveries:
                    # What comes when it is enough goes back when the stream ends.
                    if self.left > 0:
                        requests.put(handled(delivery))
                        self.left -= 1
                # The gateway carries out what was settled, and ends the stream.
                if self.left == 0:
                    requests.put(None)
        finally:
            requests.put(None)


def handled(delivery):
    """Prints a message as a line of JSON; what to tell the gateway then."""
    settled = [delivery.delivery_id]
    try:
        shown = json.dumps(to_json(delivery.event), ensure_ascii=False, allow_nan=False)
        line = shown.encode() + b"\n"
    except (ValueError, RecursionError):
        # Without a schema data may be anything: no JSON, half a character, a number of
        # thousands of digits, lists in lists without end. It will be so the next time as
        # well: a dead letter, for operators.
        reason = "data is not JSON, or none that Python reads"
        reject = subscribing_pb2.Reject(delivery_ids=settled, reason=reason)
        return subscribing_pb2.SubscribeRequest(reject=reject)
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
    # Only now: what was not done when this process ends comes again.
    acknowledge = subscribing_pb2.Acknowledge(delivery_ids=settled)
    return subscribing_pb2.SubscribeRequest(acknowledge=acknowledge)


def receive(channel, arguments):
    """Prints the events of an inbox, each as a line of JSON, and acknowledges them."""
    Receiver(channel, arguments.inbox, arguments.count).run()


def count(value):
    """How many events, from 1."""
    if not value.isdecimal() or int(value) == 0:
        raise argparse.ArgumentTypeError("expected a number from 1")
    return int(value)


def main():
    """1: it was refused; 2: what was given is wrong; 3: no gateway, or not known what it did."""
    parser = argparse.ArgumentParser(description="Publishes and receives events over gRPC.")
    commands = parser.add_subparsers(required=True, dest="command")
    command = commands.add_parser("publish", help="publishes an event, and prints its receipt")
    command.add_argument("file", help="the event, in the CloudEvents JSON format")
    command.set_defaults(run=publish)
    command = commands.add_parser("receive", help="prints and acknowledges what comes")
    command.add_argument("inbox", help="the inbox, OIN.name")
    command.add_argument("--count", type=count, help="end after so many events")
    command.set_defaults(run=receive)
    arguments = parser.parse_args()
    try:
        with connect() as channel:
            # Else grpcio does nothing for a connection between two calls, not even go on with
            # the handshake of TLS, and the gateway gives it up.
            channel.subscribe(lambda _: None)
            arguments.run(channel, arguments)
    except grpc.RpcError as error:
        print(f"error: {told(error)}", file=sys.stderr)
        code = grpc.StatusCode
        unknown = (code.UNAVAILABLE, code.DEADLINE_EXCEEDED, code.INTERNAL)
        return 3 if error.code() in unknown else 1
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
