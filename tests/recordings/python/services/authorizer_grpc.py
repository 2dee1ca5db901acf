"""Asked by Envoy (ext_authz over gRPC): an answer that is OK as a call, with the refusal in it."""

from concurrent import futures

import ext_authz_pb2
import ext_authz_pb2_grpc
import grpc
from authorizer import decided

CODES = {200: grpc.StatusCode.OK, 401: grpc.StatusCode.UNAUTHENTICATED, 403: grpc.StatusCode.PERMISSION_DENIED}


class Authorization(ext_authz_pb2_grpc.AuthorizationServicer):
    def Check(self, request, context):
        asked = request.attributes.request.http
        status = decided(asked.method, asked.path, asked.headers.get("authorization", ""))
        answer = ext_authz_pb2.CheckResponse(status={"code": CODES[status].value[0]})
        if status != 200:
            answer.denied_response.status.code = status
        return answer


def main() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(4))
    ext_authz_pb2_grpc.add_AuthorizationServicer_to_server(Authorization(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on {port}", flush=True)
    server.wait_for_termination()


main()
