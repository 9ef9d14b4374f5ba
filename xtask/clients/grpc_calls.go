// Calls by grpc-go, and checks of their results: grpc_calls CALL HOST:PORT [tls]
//
// CALL is one of the four kinds, or a way in which calls fail. A check that fails panics.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// The messages are bytes.
type raw struct{}

func (raw) Name() string                  { return "raw" }
func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func ensure(is bool, format string, words ...any) {
	if !is {
		panic(fmt.Sprintf(format, words...))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

var words = [][]byte{[]byte("the line "), []byte("of fastest "), []byte("flow"), {}, bytes.Repeat([]byte("x"), 100_000)}

// The deadline of a call that must exceed it.
const deadline = 100 * time.Millisecond

var (
	ctx, _  = context.WithTimeout(context.Background(), 60*time.Second)
	channel *grpc.ClientConn
)

func open(ctx context.Context, name string, client, server bool) grpc.ClientStream {
	description := &grpc.StreamDesc{StreamName: name, ClientStreams: client, ServerStreams: server}
	stream, err := channel.NewStream(ctx, description, "/echo.Echo/"+name)
	check(err)
	return stream
}

func send(stream grpc.ClientStream, message []byte) { check(stream.SendMsg(&message)) }

func receive(stream grpc.ClientStream, expected []byte) {
	var reply []byte
	check(stream.RecvMsg(&reply))
	ensure(bytes.Equal(reply, expected), "%d bytes for %d", len(reply), len(expected))
}

func end(stream grpc.ClientStream) {
	var reply []byte
	err := stream.RecvMsg(&reply)
	ensure(err == io.EOF, "%v in place of the end", err)
}

func hasCode(err error, code codes.Code) {
	ensure(status.Code(err) == code, "%v in place of %v", err, code)
}

func numbered(number uint32) []byte {
	return append(binary.BigEndian.AppendUint32(nil, number), "payload"...)
}

func unary() {
	for _, message := range [][]byte{{}, []byte("hello"), bytes.Repeat([]byte("y"), 3_000_000)} {
		var reply []byte
		check(channel.Invoke(ctx, "/echo.Echo/Unary", &message, &reply))
		ensure(bytes.Equal(reply, message), "%d bytes for %d", len(reply), len(message))
	}
}

func stream() {
	copies := open(ctx, "Stream", false, true)
	send(copies, numbered(500))
	check(copies.CloseSend())
	for number := uint32(0); number < 500; number++ {
		receive(copies, numbered(number))
	}
	end(copies)
}

func collect() {
	all := open(ctx, "Collect", true, false)
	for _, word := range words {
		send(all, word)
	}
	check(all.CloseSend())
	receive(all, bytes.Join(words, nil))
}

// Each word is sent when the one before was received.
func chat() {
	echo := open(ctx, "Chat", true, true)
	for _, word := range words {
		send(echo, word)
		receive(echo, word)
	}
	check(echo.CloseSend())
	end(echo)
}

func refused() {
	for path, code := range map[string]codes.Code{
		"/echo.Echo/Other":  codes.Unimplemented,
		"/echo.Echo/Stream": codes.InvalidArgument,
	} {
		message, reply := []byte("x"), []byte(nil)
		hasCode(channel.Invoke(ctx, path, &message, &reply), code)
	}
}

// Endless messages.
func tooLate() {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	endless := open(ctx, "Stream", false, true)
	send(endless, numbered(1<<32-1))
	check(endless.CloseSend())
	var reply []byte
	var err error
	for err == nil {
		err = endless.RecvMsg(&reply)
	}
	hasCode(err, codes.DeadlineExceeded)
	unary()
}

func cancelled() {
	for i := 0; i < 20; i++ {
		ctx, cancel := context.WithCancel(ctx)
		echo := open(ctx, "Chat", true, true)
		send(echo, []byte("half a word"))
		receive(echo, []byte("half a word"))
		cancel()
		var reply []byte
		hasCode(echo.RecvMsg(&reply), codes.Canceled)
	}
	unary()
}

func main() {
	calls := map[string]func(){
		"unary": unary, "stream": stream, "collect": collect, "chat": chat,
		"refused": refused, "deadline": tooLate, "cancel": cancelled,
	}
	security := grpc.WithInsecure()
	if len(os.Args) > 3 {
		// The server makes its certificate itself.
		security = grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}))
	}
	var err error
	channel, err = grpc.Dial(os.Args[2], security, grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	check(err)
	calls[os.Args[1]]()
	check(channel.Close())
}
