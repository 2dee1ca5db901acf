package shop;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import javax.sql.DataSource;

/** The shop as one service, or as the identity service of the chain (ROLE=identity). Settings: ../README.md */
final class Main {
  private static final int KEY_BYTES = 32;

  private Main() {}

  public static void main(String[] arguments) throws Exception {
    Map<String, String> environment = System.getenv();
    String role = environment.getOrDefault("ROLE", "all");
    String key = required(environment, "TOKEN_KEY");
    if (key.getBytes(StandardCharsets.UTF_8).length < KEY_BYTES) {
      throw new IllegalArgumentException("TOKEN_KEY must be at least " + KEY_BYTES + " bytes long");
    }
    long seconds = Long.parseLong(environment.getOrDefault("TOKEN_SECONDS", "900"));

    Telemetry telemetry = new Telemetry(role.equals("all") ? "java-shop" : role, environment);
    DataSource database = telemetry.trace(Database.at(required(environment, "DATABASE_URL")));
    Accounts accounts = new Accounts(telemetry, database);
    Tokens tokens = new Tokens(telemetry, key, seconds);
    String host = environment.getOrDefault("HOST", "127.0.0.1");
    Web web = new Web(telemetry, host, Integer.parseInt(environment.getOrDefault("PORT", "8080")));
    web.on("POST", "/login", request -> {
      Account account = accounts.logIn(request, request.text("name"), request.text("password"));
      return new Answer(200, Map.of("token", tokens.issue(account)));
    });
    switch (role) {
      case "all" -> new Orders(telemetry, database, tokens).serveOn(web);
      case "identity" -> web.on("POST", "/introspect", request -> introspect(request, tokens));
      default -> throw new IllegalArgumentException("ROLE is \"" + role + "\"; this service can be: all, identity");
    }
    Telemetry.log("INFO", "listening on " + host + ":" + web.start());
  }

  /** What a gateway asks about a token. A refused one is a good answer here, and a failure on the check's span. */
  private static Answer introspect(Request request, Tokens tokens) throws Exception {
    try {
      Account caller = tokens.validate(request, request.text("token"));
      return new Answer(
          200, Map.of("active", true, "sub", caller.id(), "role", caller.role(), "customer", caller.customer()));
    } catch (Refusal refusal) {
      return new Answer(200, Map.of("active", false, "reason", refusal.reason));
    }
  }

  private static String required(Map<String, String> environment, String name) {
    String value = environment.getOrDefault(name, "");
    if (value.isEmpty()) {
      throw new IllegalArgumentException(name + " is not set");
    }
    return value;
  }
}
