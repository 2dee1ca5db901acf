package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

// storefront turns HTTP requests into calls of stock.
func storefront() http.Handler {
	stock := dial(os.Getenv("STOCK"))
	mux := http.NewServeMux()
	for pattern, method := range map[string]string{
		"GET /stock/{item}":    "/shop.v1.Stock/Read",
		"DELETE /stock/{item}": "/shop.v1.Stock/Remove",
		"POST /checkout":       "/shop.v1.Stock/Reserve",
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			ctx, stop := context.WithTimeout(r.Context(), 2*time.Second)
			defer stop()
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", r.Header.Get("Authorization"))
			err := invoke(ctx, stock, method)
			w.WriteHeader(httpStatus(status.Code(err)))
		})
	}
	return otelhttp.NewHandler(mux, "storefront")
}

func httpStatus(code codes.Code) int {
	switch code {
	case codes.OK:
		return http.StatusOK
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// stock wants a token for everything, the role of a clerk for removals, and has payments charge for what it reserves.
func stock() *grpc.Server {
	payments := dial(os.Getenv("PAYMENTS"))
	return serverOf("shop.v1.Stock", map[string]rpc{
		"Read": func(context.Context, *claims) error { return nil },
		"Remove": func(_ context.Context, who *claims) error {
			if !who.has("clerk") {
				return status.Error(codes.PermissionDenied, "only a clerk removes stock")
			}
			return nil
		},
		"Reserve": func(ctx context.Context, _ *claims) error {
			held, _ := metadata.FromIncomingContext(ctx)
			return invoke(metadata.NewOutgoingContext(ctx, metadata.MD{"authorization": held["authorization"]}), payments,
				"/shop.v1.Payments/Charge")
		},
	})
}

// payments charges tenants that have an account; QUOTA=0 lets nobody.
func payments() *grpc.Server {
	return serverOf("shop.v1.Payments", map[string]rpc{
		"Charge": func(_ context.Context, who *claims) error {
			if os.Getenv("QUOTA") == "0" {
				return status.Error(codes.ResourceExhausted, "quota of charges used up")
			}
			if who.Tenant != "north" {
				return status.Errorf(codes.PermissionDenied, "tenant %s may not be charged", who.Tenant)
			}
			return nil
		},
	})
}

type rpc func(ctx context.Context, who *claims) error

// serverOf makes a server whose methods take and give an empty Struct: nothing here rests on the messages.
func serverOf(name string, methods map[string]rpc) *grpc.Server {
	server := grpc.NewServer(grpc.StatsHandler(otelgrpc.NewServerHandler()), grpc.UnaryInterceptor(tokenWanted))
	description := &grpc.ServiceDesc{ServiceName: name, HandlerType: (*any)(nil)}
	for method, work := range methods {
		description.Methods = append(description.Methods, grpc.MethodDesc{MethodName: method, Handler: func(
			service any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor,
		) (any, error) {
			asked := &structpb.Struct{}
			if err := decode(asked); err != nil {
				return nil, err
			}
			return intercept(ctx, asked, &grpc.UnaryServerInfo{Server: service, FullMethod: "/" + name + "/" + method},
				func(ctx context.Context, _ any) (any, error) {
					return &structpb.Struct{}, work(ctx, ctx.Value(caller{}).(*claims))
				})
		}})
	}
	server.RegisterService(description, struct{}{})
	return server
}

type caller struct{}

func tokenWanted(ctx context.Context, asked any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	held, _ := metadata.FromIncomingContext(ctx)
	who, err := verified(append(held["authorization"], "")[0])
	if err != nil {
		return nil, status.Errorf(codes.Unauthenticated, "invalid token: %v", err)
	}
	return next(context.WithValue(ctx, caller{}, who), asked)
}

func invoke(ctx context.Context, connection *grpc.ClientConn, method string) error {
	return connection.Invoke(ctx, method, &structpb.Struct{}, &structpb.Struct{})
}

func dial(address string) *grpc.ClientConn {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler()))
	if err != nil {
		log.Fatal(err)
	}
	return connection
}

func serveRPC(ctx context.Context, server *grpc.Server) {
	go func() {
		<-ctx.Done()
		server.Stop()
	}()
	if err := server.Serve(listen()); err != nil {
		log.Fatal(err)
	}
}
