"""The ledger behind gRPC: an interceptor looks at the token, psycopg at the accounts."""

import os
from concurrent import futures

import grpc
import ledger_pb2
import ledger_pb2_grpc
import psycopg
from ledger_rules import refusal


class Guard(grpc.ServerInterceptor):
    def intercept_service(self, continuation, call):
        refused = refusal(call.method, call.invocation_metadata)
        if refused is None:
            return continuation(call)

        def abort(request, context):
            context.abort(*refused)

        return grpc.unary_unary_rpc_method_handler(abort)


class Ledger(ledger_pb2_grpc.LedgerServicer):
    def Read(self, request, context):
        return self._total("SELECT count(*) FROM orders", context)

    def Close(self, request, context):
        return ledger_pb2.Balance(total=0)

    def Audit(self, request, context):
        return self._total("SELECT sum(total) FROM ledger", context)

    def Export(self, request, context):
        return ledger_pb2.Balance(total=0)

    def _total(self, query, context):
        try:
            with psycopg.connect(os.environ["DATABASE"]) as connection:
                return ledger_pb2.Balance(total=connection.execute(query).fetchone()[0])
        except psycopg.errors.InsufficientPrivilege:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "the database does not let us")


def main() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(4), interceptors=[Guard()])
    ledger_pb2_grpc.add_LedgerServicer_to_server(Ledger(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on {port}", flush=True)
    server.wait_for_termination()


main()
