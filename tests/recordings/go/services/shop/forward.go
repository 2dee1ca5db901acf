package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

type forwarder struct {
	collector.UnimplementedTraceServiceServer
}

// otlp takes spans over gRPC, from programs that send them no other way, and hands them on over HTTP as they came.
func otlp() *grpc.Server {
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, forwarder{})
	return server
}

func (forwarder) Export(ctx context.Context, sent *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	body, err := proto.Marshal(sent)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")+"/v1/traces",
		bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the receiver answered %d", answer.StatusCode)
	}
	return &collector.ExportTraceServiceResponse{}, nil
}
