import java.io.FileInputStream;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Hashtable;
import java.util.stream.Stream;
import javax.naming.Context;
import javax.naming.ldap.InitialLdapContext;
import javax.naming.ldap.LdapContext;
import javax.naming.ldap.StartTlsRequest;
import javax.naming.ldap.StartTlsResponse;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

/**
 * LDAP StartTLS and its end, several times on one connection: java StopTls.java PORT ROUNDS
 * CERTIFICATE.
 */
public class StopTls {
    public static void main(String[] args) throws Exception {
        var environment = new Hashtable<String, String>();
        environment.put(Context.INITIAL_CONTEXT_FACTORY, "com.sun.jndi.ldap.LdapCtxFactory");
        environment.put(Context.PROVIDER_URL, "ldap://localhost:" + args[0]);
        environment.put("com.sun.jndi.ldap.read.timeout", "20000");
        var context = new InitialLdapContext(environment, null);
        var factory = trusting(args[2]);

        expect(context, "clear");
        for (int round = 0; round < Integer.parseInt(args[1]); round++) {
            var tls = (StartTlsResponse) context.extendedOperation(new StartTlsRequest());
            tls.negotiate(factory);
            expect(context, "tls");
            expect(context, "tls");
            awaitReader();
            tls.close();
            expect(context, "clear");
            expect(context, "clear");
        }
        context.close();
        System.out.println("done");
    }

    /**
     * Waits until JNDI's own thread reads from TLS again. If the streams are changed before that,
     * it reads the server's close_notify as if it were LDAP, and close() waits for it for ever or
     * the next answer is not understood, as it happens.
     */
    static void awaitReader() throws InterruptedException {
        while (Thread.getAllStackTraces().values().stream().noneMatch(StopTls::readsTls)) {
            Thread.sleep(1);
        }
    }

    static boolean readsTls(StackTraceElement[] stack) {
        return Stream.of("com.sun.jndi.ldap.Connection", "sun.security.ssl.SSLSocketInputRecord")
            .allMatch(name -> Stream.of(stack).anyMatch(call -> call.getClassName().equals(name)));
    }

    /** The server says how a request has reached it. */
    static void expect(LdapContext context, String channel) throws Exception {
        var said = context.getAttributes("cn=channel").get("channel").get();
        if (!channel.equals(said)) {
            throw new AssertionError("expected " + channel + ", got " + said);
        }
    }

    static SSLSocketFactory trusting(String certificate) throws Exception {
        var roots = KeyStore.getInstance(KeyStore.getDefaultType());
        roots.load(null, null);
        try (var file = new FileInputStream(certificate)) {
            var root = CertificateFactory.getInstance("X.509").generateCertificate(file);
            roots.setCertificateEntry("server", root);
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(roots);
        var context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context.getSocketFactory();
    }
}
