package shop;

import static shop.Telemetry.AUTH_ACTION;
import static shop.Telemetry.AUTH_METHOD;
import static shop.Telemetry.AUTH_RESOURCE;
import static shop.Telemetry.USER_ID;
import static shop.Telemetry.USER_ROLES;

import io.opentelemetry.api.common.Attributes;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.Set;
import javax.sql.DataSource;

/** Orders, behind a token check, a permission check and PostgreSQL's row policy. */
final class Orders {
  private static final Set<String> ROLES = Set.of("clerk");
  /** PostgreSQL's SQLSTATE where a policy refuses a row. */
  private static final String INSUFFICIENT_PRIVILEGE = "42501";

  private final Telemetry telemetry;
  private final DataSource database;
  private final Tokens tokens;

  private record Order(int id, String customer, String item) {}

  private interface Work<T> {
    T in(Connection transaction) throws SQLException;
  }

  Orders(Telemetry telemetry, DataSource database, Tokens tokens) {
    this.telemetry = telemetry;
    this.database = database;
    this.tokens = tokens;
  }

  void serveOn(Web web) {
    web.on("GET", "/orders/", this::read);
    web.on("POST", "/orders", this::create);
  }

  private Answer read(Request request) throws Exception {
    Account caller = tokens.validate(request, request.bearerToken());
    permit(request, caller, "read");
    // Nine digits at most: PostgreSQL's integer has room for them.
    int id = request.parameter.matches("[0-9]{1,9}") ? Integer.parseInt(request.parameter) : 0;
    Order found = asCustomer(caller.customer(), transaction -> find(transaction, id));
    return found == null ? Answer.error(404, "not_found") : new Answer(200, found);
  }

  private Answer create(Request request) throws Exception {
    Account caller = tokens.validate(request, request.bearerToken());
    permit(request, caller, "create");
    String customer = request.text("customer");
    String item = request.text("item");
    try {
      return new Answer(201, asCustomer(caller.customer(), transaction -> add(transaction, customer, item)));
    } catch (SQLException failed) {
      if (!INSUFFICIENT_PRIVILEGE.equals(failed.getSQLState())) {
        throw failed;
      }
      // The span of the statement tells of it. No check of ours claims what the database refused.
      Telemetry.log("WARN", "refused by the row policy");
      return Answer.error(403, "row_level_security");
    }
  }

  /** auth.permission_check: whether the caller's role may do this to orders. */
  private void permit(Request request, Account caller, String action) throws Exception {
    Attributes known =
        telemetry.from(request.exchange)
            .put(AUTH_METHOD, "bearer")
            .put(USER_ID, caller.id())
            .put(USER_ROLES, List.of(caller.role()))
            .put(AUTH_RESOURCE, "order")
            .put(AUTH_ACTION, action)
            .build();
    telemetry.check("auth.permission_check", known, span -> {
      if (!ROLES.contains(caller.role())) {
        throw new Refusal("forbidden", 403);
      }
      return true;
    });
  }

  /** Runs work in a transaction whose row policies see this customer and nobody else. */
  private <T> T asCustomer(String customer, Work<T> work) throws SQLException {
    try (Connection connection = database.getConnection()) {
      connection.setAutoCommit(false);
      try (PreparedStatement limit = connection.prepareStatement("SELECT set_config('app.customer', ?, true)")) {
        limit.setString(1, customer);
        limit.execute();
      }
      try {
        T result = work.in(connection);
        connection.commit();
        return result;
      } catch (SQLException failed) {
        connection.rollback();
        throw failed;
      }
    }
  }

  private static Order find(Connection transaction, int id) throws SQLException {
    String query = "SELECT id, customer, item FROM orders WHERE id = ?";
    try (PreparedStatement statement = transaction.prepareStatement(query)) {
      statement.setInt(1, id);
      return first(statement);
    }
  }

  private static Order add(Connection transaction, String customer, String item) throws SQLException {
    String insert = "INSERT INTO orders (customer, item) VALUES (?, ?) RETURNING id, customer, item";
    try (PreparedStatement statement = transaction.prepareStatement(insert)) {
      statement.setString(1, customer);
      statement.setString(2, item);
      return first(statement);
    }
  }

  private static Order first(PreparedStatement statement) throws SQLException {
    try (ResultSet rows = statement.executeQuery()) {
      return rows.next() ? new Order(rows.getInt("id"), rows.getString("customer"), rows.getString("item")) : null;
    }
  }
}
