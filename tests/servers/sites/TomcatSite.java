import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;

/** Tomcat with servlets, each mapped as a web.xml does: PORT FOLDER. */
public class TomcatSite {
    static class Runs extends HttpServlet {
        @Override
        protected void doGet(HttpServletRequest request, HttpServletResponse answer) throws IOException {
            String rest = request.getPathInfo() == null ? "" : request.getPathInfo();
            answer.setContentType("text/plain");
            answer.getWriter().print("RAN " + request.getServletPath() + rest + "\n");
        }
    }

    public static void main(String[] arguments) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(arguments[1]);
        tomcat.setHostname("127.0.0.1");
        tomcat.setPort(Integer.parseInt(arguments[0]));
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        Context site = tomcat.addContext("", arguments[1]);
        Tomcat.addServlet(site, "runs", new Runs());
        String[] mappings = {
            "", "/secret", "/admin", "/admin/settings", "/users/*", "/panel/*", "/static/*", "*.do"
        };
        for (String mapping : mappings) {
            site.addServletMappingDecoded(mapping, "runs");
        }
        tomcat.start();
        tomcat.getServer().await();
    }
}
