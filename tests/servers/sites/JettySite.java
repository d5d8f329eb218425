import java.io.IOException;
import java.net.InetSocketAddress;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;

/** Jetty with servlets, each mapped as a web.xml does: PORT. */
public class JettySite {
    static class Runs extends HttpServlet {
        @Override
        protected void doGet(HttpServletRequest request, HttpServletResponse answer) throws IOException {
            String rest = request.getPathInfo() == null ? "" : request.getPathInfo();
            answer.setContentType("text/plain");
            answer.getWriter().print("RAN " + request.getServletPath() + rest + "\n");
        }
    }

    public static void main(String[] arguments) throws Exception {
        Server jetty = new Server(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])));
        ServletContextHandler site = new ServletContextHandler();
        String[] mappings = {
            "", "/secret", "/admin", "/admin/settings", "/users/*", "/panel/*", "/static/*", "*.do"
        };
        for (String mapping : mappings) {
            site.addServlet(new ServletHolder(new Runs()), mapping);
        }
        jetty.setHandler(site);
        jetty.start();
        jetty.join();
    }
}
