#!/usr/bin/env python3
"""Receives the events of an inbox with pika, straight from RabbitMQ.

Prints each event as a line of JSON, in the CloudEvents JSON format, and acknowledges it
then. docs/amqp.md says what a client sees, and what an acknowledgement means.

    export WISSEL_AMQP_URL='amqp://utrecht:secret@rabbitmq.example:5672/%2f'
    consume_amqp.py 00000001002220647000.inwoners --count 10
"""

import argparse
import base64
import json
import os
import sys

import pika

PREFIX = "cloudEvents:"
PREFETCH = 50


def attribute(value):
    """The value of an attribute as JSON has it."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    # An Integer has 32 bits and travels in 64 with a sign, of which some versions of pika
    # do not know.
    if isinstance(value, int) and value >= 2**63:
        return value - 2**64
    return value


def is_json(content_type):
    """Whether the data is JSON."""
    media_type = content_type.split(";")[0].strip().lower()
    return media_type.endswith(("/json", "+json"))


def to_event(properties, body):
    """The event in the CloudEvents JSON format, as binary mode spreads it over a message."""
    event = {
        name[len(PREFIX):]: attribute(value)
        for name, value in (properties.headers or {}).items()
        if name.startswith(PREFIX)
    }
    content_type = properties.content_type
    if content_type is None:
        return event
    event["datacontenttype"] = content_type
    if is_json(content_type):
        event["data"] = json.loads(body)
    else:
        event["data_base64"] = base64.b64encode(body).decode()
    return event


def main():
    """Consumes until the count is reached, or forever."""
    parser = argparse.ArgumentParser(description="Receives the events of an inbox over AMQP.")
    parser.add_argument("inbox", help="the inbox, OIN.name")
    parser.add_argument("--count", type=int, help="end after so many events")
    arguments = parser.parse_args()
    url = os.environ.get("WISSEL_AMQP_URL")
    if not url:
        parser.error("WISSEL_AMQP_URL is not set")

    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        # At most so many are here unacknowledged; without it, everything is. Who leaves soon
        # takes no more than needed: what comes back 20 times becomes a dead letter.
        channel.basic_qos(prefetch_count=1 if arguments.count else PREFETCH)
        received = 0
        for method, properties, body in channel.consume(f"wissel.direct.{arguments.inbox}"):
            try:
                event = to_event(properties, body)
                shown = json.dumps(event, ensure_ascii=False, allow_nan=False)
                line = shown.encode() + b"\n"
            except (ValueError, RecursionError) as error:
                # Without a schema data may be anything, also JSON that Python does not read.
                # It will be wrong the next time as well: a dead letter, for operators.
                print(f"not what it says it is: {type(error).__name__}", file=sys.stderr)
                channel.basic_reject(method.delivery_tag, requeue=False)
                continue
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            # Only now: what was not done when this process ends comes again.
            channel.basic_ack(method.delivery_tag)
            received += 1
            if received == arguments.count:
                break
        # What was prefetched and not acknowledged goes back.
        channel.cancel()


if __name__ == "__main__":
    main()
