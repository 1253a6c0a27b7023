// A gRPC peer for the tests of ../interop.test.ts: `peer serve` is the server of gRPC's interoperability tests, with the
// health service beside it; `peer call` runs cases of these tests as a client, and tells the first that fails.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"math/big"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("usage: peer serve [-tls] | peer call -address HOST:PORT -authority NAME [-tls] CASE...")
	}
	if os.Args[1] == "serve" {
		serve(len(os.Args) > 2 && os.Args[2] == "-tls")
		return
	}
	call(os.Args[2:])
}

// serve listens on a free port, which it prints, until standard input ends.
func serve(overTLS bool) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	transport := insecure.NewCredentials()
	if overTLS {
		transport = credentials.NewServerTLSFromCert(selfSigned())
	}
	server := grpc.NewServer(grpc.Creds(transport))
	testgrpc.RegisterTestServiceServer(server, interop.NewTestServer())
	healthServer := health.NewServer()
	healthServer.SetServingStatus("grpc.testing.TestService", healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(server, healthServer)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		os.Stdin.Read(make([]byte, 1))
		server.Stop()
	}()
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}

// selfSigned makes a certificate that nobody vouches for.
func selfSigned() *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		log.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{certificate}, PrivateKey: key}
}

func call(arguments []string) {
	flags := flag.NewFlagSet("call", flag.ExitOnError)
	address := flags.String("address", "", "where the proxy listens")
	authority := flags.String("authority", "", "the host that is asked for")
	overTLS := flags.Bool("tls", false, "over TLS, whoever's the certificate")
	flags.Parse(arguments)

	transport := insecure.NewCredentials()
	if *overTLS {
		transport = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	}
	connection, err := grpc.NewClient("passthrough:///"+*address, grpc.WithTransportCredentials(transport), grpc.WithAuthority(*authority))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	for _, name := range flags.Args() {
		run, known := cases[name]
		if !known {
			log.Fatalf("no case is called %q", name)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		run(ctx, connection)
		cancel()
		fmt.Println(name)
	}
}

// Of each, see https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md; a case that fails ends the process.
var cases = map[string]func(context.Context, *grpc.ClientConn){
	"empty_unary":                 test(interop.DoEmptyUnaryCall),
	"large_unary":                 test(interop.DoLargeUnaryCall),
	"client_streaming":            test(interop.DoClientStreaming),
	"server_streaming":            test(interop.DoServerStreaming),
	"ping_pong":                   test(interop.DoPingPong),
	"empty_stream":                test(interop.DoEmptyStream),
	"timeout_on_sleeping_server":  test(interop.DoTimeoutOnSleepingServer),
	"cancel_after_begin":          test(interop.DoCancelAfterBegin),
	"cancel_after_first_response": test(interop.DoCancelAfterFirstResponse),
	"status_code_and_message":     test(interop.DoStatusCodeAndMessage),
	"special_status_message":      test(interop.DoSpecialStatusMessage),
	"custom_metadata":             test(interop.DoCustomMetadata),
	"unimplemented_method":        interop.DoUnimplementedMethod,
	"unimplemented_service": func(ctx context.Context, connection *grpc.ClientConn) {
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(connection))
	},
	"health_check": healthCheck,
	"health_watch": healthWatch,
	"unavailable":  unavailable,
	"many_at_once": manyAtOnce,
}

func test(do func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption)) func(context.Context, *grpc.ClientConn) {
	return func(ctx context.Context, connection *grpc.ClientConn) {
		do(ctx, testgrpc.NewTestServiceClient(connection))
	}
}

func healthCheck(ctx context.Context, connection *grpc.ClientConn) {
	client := healthpb.NewHealthClient(connection)
	answer, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "grpc.testing.TestService"})
	if err != nil || answer.Status != healthpb.HealthCheckResponse_SERVING {
		log.Fatalf("health check: %v, %v", answer, err)
	}
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "nobody"}); status.Code(err) != codes.NotFound {
		log.Fatalf("health check of a service that is not there: %v", err)
	}
}

// healthWatch sees that the first message of a stream that goes on for ever arrives at once.
func healthWatch(ctx context.Context, connection *grpc.ClientConn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := healthpb.NewHealthClient(connection).Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		log.Fatalf("health watch: %v", err)
	}
	answer, err := watch.Recv()
	if err != nil || answer.Status != healthpb.HealthCheckResponse_SERVING {
		log.Fatalf("health watch: %v, %v", answer, err)
	}
}

// unavailable is for a proxy whose upstream is gone: its failure must be a gRPC status, UNAVAILABLE.
func unavailable(ctx context.Context, connection *grpc.ClientConn) {
	_, err := testgrpc.NewTestServiceClient(connection).EmptyCall(ctx, &testgrpc.Empty{})
	if status.Code(err) != codes.Unavailable {
		log.Fatalf("a call to an upstream that is gone: %v", err)
	}
}

// manyAtOnce runs calls of all kinds side by side on one connection.
func manyAtOnce(ctx context.Context, connection *grpc.ClientConn) {
	client := testgrpc.NewTestServiceClient(connection)
	done := make(chan bool)
	kinds := []func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption){
		interop.DoEmptyUnaryCall, interop.DoLargeUnaryCall, interop.DoClientStreaming, interop.DoServerStreaming,
		interop.DoPingPong, interop.DoCancelAfterFirstResponse,
	}
	const each = 40
	for _, do := range kinds {
		for range each {
			go func() {
				do(ctx, client)
				done <- true
			}()
		}
	}
	for range each * len(kinds) {
		<-done
	}
}
