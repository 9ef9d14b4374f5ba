// A call of each kind by grpc-go, and one that is refused: grpc_calls HOST:PORT. A check that fails panics.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
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

func open(ctx context.Context, channel *grpc.ClientConn, name string, client, server bool) grpc.ClientStream {
	description := &grpc.StreamDesc{StreamName: name, ClientStreams: client, ServerStreams: server}
	stream, err := channel.NewStream(ctx, description, "/echo.Echo/"+name)
	check(err)
	return stream
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	channel, err := grpc.Dial(os.Args[1], grpc.WithInsecure(), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	check(err)
	defer channel.Close()
	var reply []byte

	for _, message := range [][]byte{{}, []byte("hello"), bytes.Repeat([]byte("y"), 3_000_000)} {
		check(channel.Invoke(ctx, "/echo.Echo/Unary", &message, &reply))
		ensure(bytes.Equal(reply, message), "%d bytes for %d", len(reply), len(message))
	}

	stream := open(ctx, channel, "Stream", false, true)
	request := append(binary.BigEndian.AppendUint32(nil, 500), "payload"...)
	check(stream.SendMsg(&request))
	check(stream.CloseSend())
	for number := uint32(0); number < 500; number++ {
		check(stream.RecvMsg(&reply))
		expected := append(binary.BigEndian.AppendUint32(nil, number), "payload"...)
		ensure(bytes.Equal(reply, expected), "message %d is %q", number, reply)
	}
	ensure(stream.RecvMsg(&reply) == io.EOF, "more than 500 messages")

	collect := open(ctx, channel, "Collect", true, false)
	for i := range words {
		check(collect.SendMsg(&words[i]))
	}
	check(collect.CloseSend())
	check(collect.RecvMsg(&reply))
	ensure(bytes.Equal(reply, bytes.Join(words, nil)), "%d bytes", len(reply))

	// Each word is sent when the one before has come back.
	chat := open(ctx, channel, "Chat", true, true)
	for i := range words {
		check(chat.SendMsg(&words[i]))
		check(chat.RecvMsg(&reply))
		ensure(bytes.Equal(reply, words[i]), "%q", reply)
	}
	check(chat.CloseSend())
	ensure(chat.RecvMsg(&reply) == io.EOF, "more than was said")

	for path, code := range map[string]codes.Code{
		"/echo.Echo/Other":  codes.Unimplemented,
		"/echo.Echo/Stream": codes.InvalidArgument,
	} {
		message := []byte("x")
		err := channel.Invoke(ctx, path, &message, &reply)
		ensure(status.Code(err) == code, "%s: %v", path, err)
	}
}
