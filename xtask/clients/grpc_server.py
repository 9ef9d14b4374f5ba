"""The service `echo.Echo` by grpcio, all four kinds of calls: grpc_server.py"""

import concurrent.futures
import struct

import grpc


def stream(request, context):
    if len(request) < 4:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a count of 4 bytes comes first")
    (count,) = struct.unpack(">I", request[:4])
    return (struct.pack(">I", number) + request[4:] for number in range(count))


server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
handlers = {
    "Unary": grpc.unary_unary_rpc_method_handler(lambda request, _: request),
    "Stream": grpc.unary_stream_rpc_method_handler(stream),
    "Collect": grpc.stream_unary_rpc_method_handler(lambda requests, _: b"".join(requests)),
    "Chat": grpc.stream_stream_rpc_method_handler(lambda requests, _: requests),
}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("echo.Echo", handlers),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(f"listening on 127.0.0.1:{port}", flush=True)
server.wait_for_termination()
