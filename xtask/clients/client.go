// One check by Go's net/http, over one connection: client CHECK BASE_URL
//
// Over TLS this is net/http alone; in cleartext it speaks HTTP/2 by golang.org/x/net/http2 only. ROOT is the folder that is served, UPLOAD a file to send. A check that fails panics.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/net/http2"
)

var (
	base        = os.Args[2]
	connections int
)

func dial(network, address string) (net.Conn, error) {
	connections++
	return net.Dial(network, address)
}

var client = &http.Client{Transport: transport()}

func transport() http.RoundTripper {
	if strings.HasPrefix(base, "http:") {
		dial := func(network, address string, _ *tls.Config) (net.Conn, error) { return dial(network, address) }
		return &http2.Transport{AllowHTTP: true, DialTLS: dial}
	}
	return &http.Transport{
		Dial:              dial,
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	}
}

func ensure(is bool, format string, words ...any) {
	if !is {
		panic(fmt.Sprintf(format, words...))
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func pattern(length, seed int) []byte {
	data := make([]byte, length)
	for i := range data {
		data[i] = byte(seed*131 + i*7 + (i>>8)*13)
	}
	return data
}

func file(name string) []byte {
	return must(os.ReadFile(filepath.Join(os.Getenv("ROOT"), name)))
}

func same(body, expected []byte) {
	ensure(len(body) == len(expected), "%d bytes, %d expected", len(body), len(expected))
	ensure(bytes.Equal(body, expected), "the content differs")
}

func expect(response *http.Response, status int) {
	ensure(response.ProtoMajor == 2, "%s", response.Proto)
	ensure(response.StatusCode == status, "%s", response.Status)
}

func content(response *http.Response) []byte {
	defer response.Body.Close()
	return must(io.ReadAll(response.Body))
}

func get(path string) *http.Response { return must(client.Get(base + path)) }

func page() {
	response := get("/page.html")
	expect(response, 200)
	expected := file("page.html")
	ensure(strings.HasPrefix(response.Header.Get("content-type"), "text/html"), "%v", response.Header)
	ensure(response.ContentLength == int64(len(expected)), "content-length %d", response.ContentLength)
	same(content(response), expected)
}

func head() {
	response := must(client.Head(base + "/page.html"))
	expect(response, 200)
	ensure(response.ContentLength == int64(len(file("page.html"))), "content-length %d", response.ContentLength)
	ensure(len(content(response)) == 0, "content after HEAD")
}

func missing() { expect(get("/no/such/page.html"), 404) }

func download() {
	response := get("/download.bin")
	expect(response, 200)
	same(content(response), file("download.bin"))
}

func upload() {
	data := must(os.ReadFile(os.Getenv("UPLOAD")))
	response := must(client.Post(base+"/echo", "application/octet-stream", bytes.NewReader(data)))
	expect(response, 200)
	same(content(response), data)
}

func parallel() {
	missing()
	var all sync.WaitGroup
	for seed := 0; seed < 100; seed++ {
		all.Add(1)
		go func(seed int) {
			defer all.Done()
			response := get(fmt.Sprintf("/bytes/%d?seed=%d", seed*1000, seed))
			expect(response, 200)
			same(content(response), pattern(seed*1000, seed))
		}(seed)
	}
	all.Wait()
}

func cancel() {
	for i := 0; i < 50; i++ {
		response := get("/bytes/1000000000")
		must(io.ReadFull(response.Body, make([]byte, 1000)))
		response.Body.Close()
	}
	same(content(get("/bytes/300000?seed=3")), pattern(300_000, 3))
}

func trailers() {
	message := []byte("\x00\x00\x00\x00\x03abc")
	request := must(http.NewRequest("POST", base+"/echo.Echo/Unary", bytes.NewReader(message)))
	request.Header.Set("content-type", "application/grpc")
	request.Header.Set("te", "trailers")
	response := must(client.Do(request))
	expect(response, 200)
	same(content(response), message)
	ensure(response.Trailer.Get("grpc-status") == "0", "trailers %v", response.Trailer)
}

func text(response *http.Response, status int, expected string) {
	expect(response, status)
	same(content(response), []byte(expected))
}

func hello() {
	text(get("/hello/Go?times=2"), 200, "hello, Go\nhello, Go\n")
	expect(get("/hello/Go?times=x"), 400)
}

func sum() {
	post := func(body string) *http.Response {
		return must(client.Post(base+"/sum", "application/json", strings.NewReader(body)))
	}
	text(post("[1, 2, 39]"), 200, `{"sum":42}`)
	expect(post("[1, 2"), 400)
}

// The next piece is sent when the last was received.
func upper() {
	pieces, upload := io.Pipe()
	response := must(client.Post(base+"/upper", "text/plain", pieces))
	expect(response, 200)
	for i := 0; i < 100; i++ {
		piece := fmt.Sprintf("piece %d;", i)
		must(upload.Write([]byte(piece)))
		received := make([]byte, len(piece))
		must(io.ReadFull(response.Body, received))
		same(received, []byte(strings.ToUpper(piece)))
	}
	upload.Close()
	same(content(response), nil)
}

func events() {
	response := get("/ticks")
	expect(response, 200)
	ensure(response.Header.Get("content-type") == "text/event-stream", "%v", response.Header)
	lines := bufio.NewReader(response.Body)
	for i := 0; i < 3; i++ {
		for _, expected := range []string{"event: tick\n", fmt.Sprintf("data: %d\n", i), "\n"} {
			same([]byte(must(lines.ReadString('\n'))), []byte(expected))
		}
	}
	response.Body.Close()
	text(get("/hello/again"), 200, "hello, again\n")
}

func fallback() { text(get("/no/such/page"), 404, "nothing at /no/such/page\n") }

// The script ends the server during this transfer.
func goaway() {
	response := get("/bytes/20000000?seed=5")
	expect(response, 200)
	fmt.Println("started")
	must(bufio.NewReader(os.Stdin).ReadString('\n'))
	same(content(response), pattern(20_000_000, 5))
	_, err := client.Get(base + "/page.html")
	ensure(err != nil, "the server still answers")
}

func main() {
	checks := map[string]func(){
		"page": page, "head": head, "missing": missing, "download": download, "upload": upload,
		"hello": hello, "sum": sum, "upper": upper, "events": events, "fallback": fallback,
		"parallel": parallel, "cancel": cancel, "trailers": trailers, "goaway": goaway,
	}
	checks[os.Args[1]]()
	if os.Args[1] != "goaway" {
		ensure(connections == 1, "%d connections in place of one", connections)
	}
}
