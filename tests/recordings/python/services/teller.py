"""HTTP before the ledger: gRPC's status becomes HTTP's, the token goes on as metadata."""

import os

import grpc
import ledger_pb2
import ledger_pb2_grpc
from fastapi import FastAPI, HTTPException, Request

STATUS = {
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
}
app = FastAPI(openapi_url=None)
ledger = ledger_pb2_grpc.LedgerStub(grpc.insecure_channel(os.environ["LEDGER"]))


@app.get("/accounts/{name}/{method}")
def account(name: str, method: str, request: Request) -> dict[str, int]:
    token = request.headers.get("authorization")
    metadata = [("authorization", token)] if token else []
    call = getattr(ledger, method)
    try:
        return {"total": call(ledger_pb2.Account(name=name), metadata=metadata, timeout=3).total}
    except grpc.RpcError as refused:
        raise HTTPException(STATUS.get(refused.code(), 500), refused.details()) from None
