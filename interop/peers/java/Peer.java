// Java's SSLSocket.
//
// Peer ROLE VERSION CERTIFICATE KEY PORT

import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.concurrent.CompletableFuture;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

public final class Peer {
    static final byte[] HELLO = "hello\n".getBytes();
    static final byte[] FLIGHT = new byte[256 * 1024];
    static final byte[] ANSWER = new byte[64 * 1024];

    /** How reading has ended, and after how many bytes. */
    record End(long got, String how) {}

    static SSLContext context(boolean server, String certificate, String key) throws Exception {
        Certificate own;
        try (var in = new FileInputStream(certificate)) {
            own = CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
        String pem = Files.readString(Path.of(key)).replaceAll("-----[A-Z ]+-----|\\s", "");
        PrivateKey secret =
                KeyFactory.getInstance("EC")
                        .generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem)));
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null);
        if (server) {
            store.setKeyEntry("own", secret, new char[0], new Certificate[] {own});
        } else {
            store.setCertificateEntry("root", own);
        }
        var keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, new char[0]);
        var roots = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        roots.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(
                server ? keys.getKeyManagers() : null, server ? null : roots.getTrustManagers(), null);
        return context;
    }

    static String nameOf(IOException error) {
        if (error instanceof SSLException) {
            return error.getCause() instanceof SocketException ? "reset" : "truncated";
        }
        if (error instanceof SocketException) {
            return "reset";
        }
        return "error:" + error.getClass().getSimpleName();
    }

    static End readToEnd(InputStream in) {
        long got = 0;
        byte[] buf = new byte[65536];
        try {
            for (int n; (n = in.read(buf)) >= 0; ) {
                got += n;
            }
            return new End(got, "close_notify");
        } catch (IOException e) {
            return new End(got, nameOf(e));
        }
    }

    static int write(SSLSocket tls, byte[] data) {
        try {
            tls.getOutputStream().write(data);
            return data.length;
        } catch (IOException e) {
            return 0;
        }
    }

    static void close(SSLSocket tls) {
        try {
            tls.close();
        } catch (IOException e) {
            // The driver sees what came of it.
        }
    }

    static String play(String scenario, SSLSocket tls, Socket tcp) throws Exception {
        if (tls.getInputStream().readNBytes(HELLO.length).length != HELLO.length) {
            return "sent=0 got=0 end=error:no_hello";
        }
        write(tls, HELLO);
        int sent = 0;
        End end = new End(0, "-");
        switch (scenario) {
            case "answer" -> {
                end = readToEnd(tls.getInputStream());
                close(tls);
            }
            case "close" -> close(tls);
            case "flight" -> {
                var writing = CompletableFuture.supplyAsync(() -> write(tls, FLIGHT));
                end = readToEnd(tls.getInputStream());
                sent = writing.get();
                close(tls);
            }
            case "half" -> {
                end = readToEnd(tls.getInputStream());
                sent = write(tls, ANSWER);
                close(tls);
            }
            case "cut" -> {
                tls.getInputStream().readNBytes(HELLO.length);
                tcp.shutdownOutput();
                readToEnd(tcp.getInputStream());
                tcp.close();
            }
            case "abort" -> {
                tls.getInputStream().readNBytes(HELLO.length);
                tcp.setSoLinger(true, 0);
                tcp.close();
            }
            case "plain" -> {
                end = readToEnd(tls.getInputStream());
                close(tls);
                String ping = new String(tcp.getInputStream().readNBytes(4));
                if (!ping.equals("ping")) {
                    end = new End(0, "error:no_ping");
                }
                tcp.getOutputStream().write("pong".getBytes());
                tcp.close();
            }
            default -> throw new IllegalArgumentException(scenario);
        }
        return "sent=" + sent + " got=" + end.got() + " end=" + end.how();
    }

    public static void main(String[] args) throws Exception {
        boolean server = args[0].equals("server");
        SSLSocketFactory factory = context(server, args[2], args[3]).getSocketFactory();
        int port = Integer.parseInt(args[4]);
        InetAddress loopback = InetAddress.getByName("127.0.0.1");
        ServerSocket listener = server ? new ServerSocket(0, 50, loopback) : null;
        int own = server ? listener.getLocalPort() : 0;
        System.out.println("ready " + own + " Java " + Runtime.version().feature());

        var lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            Socket tcp = server ? listener.accept() : new Socket(loopback, port);
            tcp.setSoTimeout(10_000);
            // Layered, so that the socket below can be had again.
            boolean autoClose = !line.equals("plain");
            SSLSocket tls =
                    (SSLSocket)
                            (server
                                    ? factory.createSocket(tcp, null, autoClose)
                                    : factory.createSocket(tcp, "localhost", port, autoClose));
            tls.setUseClientMode(!server);
            tls.setEnabledProtocols(new String[] {"TLSv" + args[1]});
            String report;
            try {
                report = play(line, tls, tcp);
            } catch (IOException e) {
                report = "sent=0 got=0 end=error:" + nameOf(e);
            }
            System.out.println(report);
        }
    }
}
