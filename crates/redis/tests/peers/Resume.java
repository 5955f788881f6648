import java.io.FileInputStream;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** Connects several times: java Resume.java PORT VERSION CERTIFICATE VISITS. */
public class Resume {
    public static void main(String[] args) throws Exception {
        var store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (var file = new FileInputStream(args[2])) {
            var certificate = CertificateFactory.getInstance("X.509").generateCertificate(file);
            store.setCertificateEntry("server", certificate);
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        var context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        for (int visit = 0; visit < Integer.parseInt(args[3]); visit++) {
            var factory = context.getSocketFactory();
            try (var socket = (SSLSocket) factory.createSocket("localhost", Integer.parseInt(args[0]))) {
                socket.setEnabledProtocols(new String[] {"TLSv" + args[1]});
                socket.startHandshake();
                socket.getOutputStream().write('?');
                var answer = socket.getInputStream().readAllBytes();
                if (answer.length != 1 || answer[0] != '!') {
                    throw new AssertionError("answer");
                }
                System.out.println("visit " + visit);
            }
        }
    }
}
