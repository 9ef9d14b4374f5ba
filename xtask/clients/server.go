// A server by Go's net/http with golang.org/x/net/http2 that keeps the contract of our own: server ROOT [tls]
//
// Over TLS this is net/http alone, with its own certificate.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func bytesByNumber(answer http.ResponseWriter, request *http.Request) {
	length, err := strconv.Atoi(strings.TrimPrefix(request.URL.Path, "/bytes/"))
	if err != nil {
		http.Error(answer, "no number", http.StatusBadRequest)
		return
	}
	seed, _ := strconv.Atoi(request.URL.Query().Get("seed"))
	answer.Header().Set("content-length", strconv.Itoa(length))
	piece := make([]byte, 65_536)
	for at := 0; at < length; at += len(piece) {
		for i := range piece {
			piece[i] = byte(seed*131 + (at+i)*7 + ((at+i)>>8)*13)
		}
		left := length - at
		if left > len(piece) {
			left = len(piece)
		}
		if _, err := answer.Write(piece[:left]); err != nil {
			return
		}
	}
}

func echo(answer http.ResponseWriter, request *http.Request) {
	answer.WriteHeader(http.StatusOK)
	answer.(http.Flusher).Flush()
	_, _ = io.Copy(answer, request.Body)
}

func certificate() tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/bytes/", bytesByNumber)
	mux.HandleFunc("/echo", echo)
	mux.Handle("/", http.FileServer(http.Dir(os.Args[1])))
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	fmt.Println("listening on", listener.Addr())
	if len(os.Args) > 2 {
		config := &tls.Config{Certificates: []tls.Certificate{certificate()}}
		panic((&http.Server{Handler: mux, TLSConfig: config}).ServeTLS(listener, "", ""))
	}
	server := &http2.Server{}
	for {
		connection := must(listener.Accept())
		go server.ServeConn(connection, &http2.ServeConnOpts{Handler: mux})
	}
}
