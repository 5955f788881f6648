// Connects several times: go run resume.go PORT VERSION CERTIFICATE VISITS
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strconv"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	pem, err := os.ReadFile(os.Args[3])
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	version := map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[os.Args[2]]
	config := &tls.Config{
		RootCAs:            roots,
		ServerName:         "localhost",
		MinVersion:         version,
		MaxVersion:         version,
		ClientSessionCache: tls.NewLRUClientSessionCache(8),
	}
	visits, err := strconv.Atoi(os.Args[4])
	check(err)
	for i := 0; i < visits; i++ {
		conn, err := tls.Dial("tcp", "127.0.0.1:"+os.Args[1], config)
		check(err)
		_, err = conn.Write([]byte("?"))
		check(err)
		answer, err := io.ReadAll(conn)
		check(err)
		if string(answer) != "!" {
			check(fmt.Errorf("answer: %q", answer))
		}
		if conn.ConnectionState().DidResume {
			fmt.Println("resumed")
		} else {
			fmt.Println("full")
		}
		check(conn.Close())
	}
}
