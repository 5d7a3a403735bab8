// Echoserver sends every WebSocket message back as it came. It is built on gorilla/websocket, so that
// dormouse bench is tested against a server that is not ours.
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
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "listen on this TCP `address`")
	secure := flag.Bool("tls", false, "speak TLS, with a certificate that nobody has signed")
	flag.Parse()
	if err := run(*addr, *secure); err != nil {
		log.Fatal(err)
	}
}

// run serves until SIGTERM. It prints where it listens, and at the end what it has counted, a line of JSON each.
func run(addr string, secure bool) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	e := &echo{up: websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}}
	s := &http.Server{Handler: e, ErrorLog: log.New(os.Stderr, "echoserver: ", 0)}
	scheme := "ws"
	if secure {
		cert, err := selfSigned()
		if err != nil {
			return err
		}
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		scheme = "wss"
	}
	failed := make(chan error, 1)
	go func() {
		if secure {
			failed <- s.ServeTLS(l, "", "")
		} else {
			failed <- s.Serve(l)
		}
	}()
	fmt.Printf("{\"ws\":\"%s://%s\"}\n", scheme, l.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	fmt.Printf("{\"upgrades\":%d,\"messages\":%d}\n", e.upgrades.Load(), e.messages.Load())
	return nil
}

// An echo serves a goroutine for each connection, and counts.
type echo struct {
	up                 websocket.Upgrader
	upgrades, messages atomic.Int64
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := e.up.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	defer c.Close()
	e.upgrades.Add(1)
	for {
		kind, p, err := c.ReadMessage()
		if err != nil {
			return
		}
		e.messages.Add(1)
		if c.WriteMessage(kind, p) != nil {
			return
		}
	}
}

// selfSigned makes a certificate for this machine alone, good for a day.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:     []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
