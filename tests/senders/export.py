"""Exports logs as OpenTelemetry's SDK does: URL, token, and a JSON list of records, each sent as text and as a map."""
import json
import sys

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource

url, token, records = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
failures = []


class Watched(OTLPLogExporter):
    """Notes what the exporter says of its batches: the processor drops it."""

    def export(self, batch):
        result = super().export(batch)
        if result.value != 0:
            failures.append(result)
        return result


exporter = Watched(endpoint=url, headers={"authorization": f"Bearer {token}"}, compression=Compression.Gzip)
provider = LoggerProvider(resource=Resource.create({"service.name": "exporter"}))
provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
logger = provider.get_logger("tests")


def emit(body):
    now = 1795166043000000000
    logger.emit(LogRecord(timestamp=now, observed_timestamp=now, severity_number=SeverityNumber.INFO, body=body))


for text in records:
    emit(text)
    emit(json.loads(text))
emit("user ana signed in")
provider.shutdown()
sys.exit(1 if failures else 0)
