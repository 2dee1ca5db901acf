"""The ledger again, on asyncio: the checks stand in the methods."""

import asyncio

import grpc
import ledger_pb2
import ledger_pb2_grpc
from ledger_rules import refusal


class Ledger(ledger_pb2_grpc.LedgerServicer):
    async def Read(self, request, context):
        return await self._answer("Read", context)

    async def Close(self, request, context):
        return await self._answer("Close", context)

    async def _answer(self, method, context):
        if refused := refusal(method, context.invocation_metadata()):
            await context.abort(*refused)
        return ledger_pb2.Balance(total=7)


async def main() -> None:
    server = grpc.aio.server()
    ledger_pb2_grpc.add_LedgerServicer_to_server(Ledger(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on {port}", flush=True)
    await server.wait_for_termination()


asyncio.run(main())
