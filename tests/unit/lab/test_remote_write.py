"""Remote write as Prometheus reads it: checked with protobuf's own decoder and a Snappy reader written from its description."""

import math
import struct

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from app.lab.remote_write import STALE, Exemplar, Series, encode, snappy

LABEL, SAMPLE, EXEMPLAR, SERIES, REQUEST = "Label", "Sample", "Exemplar", "TimeSeries", "WriteRequest"
FIELDS = {
    LABEL: [("name", 1, "STRING", ""), ("value", 2, "STRING", "")],
    SAMPLE: [("value", 1, "DOUBLE", ""), ("timestamp", 2, "INT64", "")],
    EXEMPLAR: [("labels", 1, "MESSAGE", LABEL), ("value", 2, "DOUBLE", ""), ("timestamp", 3, "INT64", "")],
    SERIES: [("labels", 1, "MESSAGE", LABEL), ("samples", 2, "MESSAGE", SAMPLE), ("exemplars", 3, "MESSAGE", EXEMPLAR)],
    REQUEST: [("timeseries", 1, "MESSAGE", SERIES)],
}


def write_request():
    """Prometheus' WriteRequest, from its published schema."""
    file = descriptor_pb2.FileDescriptorProto(name="prompb-test.proto", package="prompbtest", syntax="proto3")
    types = descriptor_pb2.FieldDescriptorProto
    for message, fields in FIELDS.items():
        described = file.message_type.add(name=message)
        for name, number, kind, of in fields:
            many = types.LABEL_REPEATED if of else types.LABEL_OPTIONAL
            field = described.field.add(name=name, number=number, label=many, type=getattr(types, f"TYPE_{kind}"))
            if of:
                field.type_name = f".prompbtest.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("prompbtest.WriteRequest"))


WriteRequest = write_request()


def unsnappy(block):
    """Plain bytes of a Snappy block; knows literals only, which is all the lab writes."""
    length, shift, position = 0, 0, 0
    while True:
        byte = block[position]
        length |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            break
    plain = b""
    while position < len(block):
        tag = block[position]
        assert tag & 3 == 0, "a copy, where only literals are written"
        size = tag >> 2
        position += 1
        if size >= 60:
            width = size - 59
            size = int.from_bytes(block[position : position + width], "little")
            position += width
        plain += block[position : position + size + 1]
        position += size + 1
    assert len(plain) == length
    return plain


@given(st.integers(0, 200_000))
def test_a_snappy_block_holds_what_was_put_in(size):
    plain = bytes(index % 251 for index in range(size))
    assert unsnappy(snappy(plain)) == plain


@given(
    labels=st.dictionaries(st.text(min_size=1), st.text(), max_size=5),
    samples=st.lists(st.tuples(st.integers(0, 2**53), st.floats(allow_nan=False)), max_size=5),
)
def test_series_come_out_as_they_went_in_with_labels_sorted(labels, samples):
    labels = {
        name.encode("utf-8", "ignore").decode(): value.encode("utf-8", "ignore").decode() for name, value in labels.items()
    }
    decoded = WriteRequest.FromString(unsnappy(encode([Series(labels, samples)])))
    (series,) = decoded.timeseries
    assert [(label.name, label.value) for label in series.labels] == sorted(labels.items())
    assert [(sample.timestamp, sample.value) for sample in series.samples] == samples


def test_exemplars_carry_their_trace():
    exemplar = Exemplar({"trace_id": "ab" * 16, "span_id": "cd" * 8}, 1.0, 1_700_000_000_123)
    decoded = WriteRequest.FromString(unsnappy(encode([Series({"__name__": "x"}, [(1, 1.0)], [exemplar])])))
    (found,) = decoded.timeseries[0].exemplars
    assert {label.name: label.value for label in found.labels} == exemplar.labels
    assert (found.value, found.timestamp) == (1.0, 1_700_000_000_123)


def test_the_end_of_a_series_is_prometheus_own_nan():
    assert math.isnan(STALE)
    assert struct.pack("<d", STALE) == struct.pack("<Q", 0x7FF0000000000002)
    decoded = WriteRequest.FromString(unsnappy(encode([Series({"__name__": "x"}, [(1, STALE)])])))
    assert struct.pack("<d", decoded.timeseries[0].samples[0].value) == struct.pack("<Q", 0x7FF0000000000002)
