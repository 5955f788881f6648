// Go's crypto/tls.
//
// peer ROLE VERSION CERTIFICATE KEY PORT
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	hello  = "hello\n"
	flight = 256 * 1024
	answer = 64 * 1024
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func nameOf(err error) string {
	switch {
	case errors.Is(err, io.EOF):
		return "close_notify"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "truncated"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	default:
		return "error:" + strings.ReplaceAll(err.Error(), " ", "_")
	}
}

func readToEnd(conn io.Reader) (int, string) {
	got := 0
	buf := make([]byte, 65536)
	for {
		n, err := conn.Read(buf)
		got += n
		if err != nil {
			return got, nameOf(err)
		}
	}
}

func write(conn io.Writer, size int) int {
	sent, _ := conn.Write(make([]byte, size))
	return sent
}

// play returns what was sent, what was read, and how reading has ended.
func play(scenario string, conn *tls.Conn, tcp *net.TCPConn) (sent, got int, end string) {
	if _, err := io.ReadFull(conn, make([]byte, len(hello))); err != nil {
		conn.Close()
		return 0, 0, nameOf(err)
	}
	conn.Write([]byte(hello))
	end = "-"
	switch scenario {
	case "answer":
		got, end = readToEnd(conn)
		conn.Close()
	case "close":
		conn.Close()
	case "flight":
		done := make(chan int)
		go func() { done <- write(conn, flight) }()
		got, end = readToEnd(conn)
		sent = <-done
		conn.Close()
	case "half":
		got, end = readToEnd(conn)
		sent = write(conn, answer)
		conn.Close()
	case "cut":
		io.ReadFull(conn, make([]byte, len(hello)))
		tcp.CloseWrite()
		readToEnd(tcp)
		tcp.Close()
	case "abort":
		io.ReadFull(conn, make([]byte, len(hello)))
		tcp.SetLinger(0)
		tcp.Close()
	case "plain":
		got, end = readToEnd(conn)
		conn.CloseWrite()
		// It has set one that has passed.
		tcp.SetDeadline(time.Now().Add(10 * time.Second))
		ping := make([]byte, 4)
		if _, err := io.ReadFull(tcp, ping); err != nil || string(ping) != "ping" {
			end = "error:no_ping"
		}
		tcp.Write([]byte("pong"))
		tcp.Close()
	}
	return
}

func main() {
	role, version, certificate, key, port := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]

	config := &tls.Config{ServerName: "localhost", MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12}
	if version == "1.3" {
		config.MinVersion, config.MaxVersion = tls.VersionTLS13, tls.VersionTLS13
	}
	var listener net.Listener
	own := 0
	if role == "server" {
		config.Certificates = []tls.Certificate{must(tls.LoadX509KeyPair(certificate, key))}
		listener = must(net.Listen("tcp", "127.0.0.1:0"))
		own = listener.Addr().(*net.TCPAddr).Port
	} else {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(must(os.ReadFile(certificate)))
		config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	}
	fmt.Printf("ready %d %s\n", own, strings.Replace(runtime.Version(), "go", "Go ", 1))

	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var tcp net.Conn
		var conn *tls.Conn
		if listener != nil {
			tcp = must(listener.Accept())
			conn = tls.Server(tcp, config)
		} else {
			tcp = must(net.Dial("tcp", "127.0.0.1:"+port))
			conn = tls.Client(tcp, config)
		}
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		sent, got, end := play(lines.Text(), conn, tcp.(*net.TCPConn))
		fmt.Printf("sent=%d got=%d end=%s\n", sent, got, end)
	}
}
