// Bursts of cancellations: many gRPC calls over one connection, about half of them cancelled at random
// points, some by a timeout of a millisecond. Checks every message that arrives. Prints the result as
// one line of JSON.
//
// grpc_bursts HOST:PORT CALLS SEED
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	burstMax = 300
	// Concurrent calls: more than the server allows, so that the client's own queue is used as well.
	underWayMax = 400
	afterwards  = 64
	// Bytes that the server may be ahead of a stream's reader, and of all of them.
	streamWindow     = 256 << 10
	connectionWindow = 1 << 20
	// Messages of a stream.
	short = 40
	long  = 1000
)

// The messages of the testbed are bytes.
type raw struct{}

func (raw) Name() string                  { return "raw" }
func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

type report struct {
	sync.Mutex
	Calls     int    `json:"calls"`
	Completed int    `json:"completed"`
	Cancelled int    `json:"cancelled"`
	Late      int    `json:"late"`
	Wrong     int    `json:"wrong"`
	Failed    int    `json:"failed"`
	First     string `json:"first_failure"`
}

var errWrong = errors.New("a wrong message")

// How a call ends.
type ending int

const (
	spared ending = iota
	// With the others of its burst.
	swept
	// By itself, after some messages or microseconds.
	cancelled
	// By its timeout of a millisecond or two.
	late
)

func (t *report) count(err error, f ending) {
	t.Lock()
	defer t.Unlock()
	t.Calls++
	code := status.Code(err)
	switch {
	case err == nil:
		t.Completed++
	case errors.Is(err, errWrong):
		t.Wrong++
		t.note(err)
	case f == late && code == codes.DeadlineExceeded:
		t.Late++
	case (f == swept || f == cancelled) && code == codes.Canceled:
		t.Cancelled++
	default:
		t.Failed++
		t.note(err)
	}
}

func (t *report) note(err error) {
	if t.First == "" {
		t.First = err.Error()
	}
}

func payload(random *rand.Rand) []byte {
	size := random.Intn(2000)
	if random.Intn(10) == 0 {
		size = random.Intn(100_000)
	}
	data := make([]byte, size)
	random.Read(data)
	return data
}

func unary(ctx context.Context, channel *grpc.ClientConn, data []byte) error {
	var reply []byte
	if err := channel.Invoke(ctx, "/echo.Echo/Unary", &data, &reply); err != nil {
		return err
	}
	if !bytes.Equal(reply, data) {
		return fmt.Errorf("%w: %d bytes for %d", errWrong, len(reply), len(data))
	}
	return nil
}

var streaming = &grpc.StreamDesc{StreamName: "Stream", ServerStreams: true}

// Reads the messages of a stream, and cancels it after some of them.
func stream(ctx context.Context, cancel func(), channel *grpc.ClientConn, data []byte, count, cancelAfter int) error {
	call, err := channel.NewStream(ctx, streaming, "/echo.Echo/Stream")
	if err != nil {
		return err
	}
	request := append(binary.BigEndian.AppendUint32(nil, uint32(count)), data...)
	if err := call.SendMsg(&request); err != nil && err != io.EOF {
		return err
	}
	if err := call.CloseSend(); err != nil {
		return err
	}
	for number := 0; ; number++ {
		if number == cancelAfter {
			cancel()
		}
		var reply []byte
		switch err := call.RecvMsg(&reply); {
		case err == io.EOF && number == count:
			return nil
		case err == io.EOF:
			return fmt.Errorf("%w: a stream of %d ended after %d", errWrong, count, number)
		case err != nil:
			return err
		}
		if len(reply) != 4+len(data) || binary.BigEndian.Uint32(reply) != uint32(number) || !bytes.Equal(reply[4:], data) {
			return fmt.Errorf("%w: message %d of %d", errWrong, number, count)
		}
	}
}

func call(ctx context.Context, channel *grpc.ClientConn, f ending, random *rand.Rand) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if f == late {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(1+random.Intn(2))*time.Millisecond)
		defer cancel()
	}
	data := payload(random)
	if random.Intn(5) < 3 {
		if f == cancelled {
			timer := time.AfterFunc(time.Duration(random.Intn(3000))*time.Microsecond, cancel)
			defer timer.Stop()
		}
		return unary(ctx, channel, data)
	}
	count, cancelAfter := random.Intn(short), -1
	if f == swept || f == cancelled {
		// Long enough to be cancelled before its end.
		count = random.Intn(long)
	}
	if f == cancelled {
		cancelAfter = random.Intn(short)
	}
	return stream(ctx, cancel, channel, data[:len(data)%2000], count, cancelAfter)
}

func bursts(channel *grpc.ClientConn, calls int, random *rand.Rand, t *report) {
	var all sync.WaitGroup
	underWay := make(chan struct{}, underWayMax)
	for left := calls; left > 0; {
		size := 1 + random.Intn(burstMax)
		if size > left {
			size = left
		}
		left -= size
		// A part of each burst has one context: it is cancelled at once.
		sweep, cancel := context.WithCancel(context.Background())
		var burst sync.WaitGroup
		for i := 0; i < size; i++ {
			f := ending(0)
			if random.Intn(2) == 0 {
				f = []ending{swept, swept, cancelled, late}[random.Intn(4)]
			}
			ctx := context.Background()
			if f == swept {
				ctx = sweep
			}
			own := rand.New(rand.NewSource(random.Int63()))
			underWay <- struct{}{}
			all.Add(1)
			burst.Add(1)
			go func() {
				defer func() { <-underWay; burst.Done(); all.Done() }()
				t.count(call(ctx, channel, f, own), f)
			}()
		}
		time.AfterFunc(time.Duration(random.Intn(5000))*time.Microsecond, cancel)
		go func() { burst.Wait(); cancel() }()
	}
	all.Wait()
}

// Large calls at once, none cancelled: a slot or a window that the bursts have leaked would stall them.
func calm(channel *grpc.ClientConn, t *report) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for i := 0; i < afterwards; i++ {
		data := bytes.Repeat([]byte{byte(i)}, 200_000)
		all.Add(1)
		go func() {
			defer all.Done()
			t.count(unary(ctx, channel, data), spared)
		}()
	}
	all.Wait()
}

func main() {
	calls, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	seed, err := strconv.ParseInt(os.Args[3], 10, 64)
	if err != nil {
		panic(err)
	}
	codec := grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}))
	// Windows of a fixed size: before 1.48, grpc-go did not apply a window that it had just raised to a stream that was being opened,
	// and then treated DATA within that window as an error (grpc/grpc-go#5494).
	stream, connection := grpc.WithInitialWindowSize(streamWindow), grpc.WithInitialConnWindowSize(connectionWindow)
	channel, err := grpc.Dial(os.Args[1], grpc.WithInsecure(), grpc.WithBlock(), codec, stream, connection)
	if err != nil {
		panic(err)
	}
	var t report
	bursts(channel, calls-afterwards, rand.New(rand.NewSource(seed)), &t)
	calm(channel, &t)
	channel.Close()
	line, err := json.Marshal(&t)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}
