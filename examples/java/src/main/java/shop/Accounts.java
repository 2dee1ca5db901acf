package shop;

import static shop.Telemetry.AUTH_METHOD;
import static shop.Telemetry.USER_ID;
import static shop.Telemetry.USER_ROLES;

import io.opentelemetry.api.common.Attributes;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.PBEKeySpec;
import javax.sql.DataSource;

/** Who may log in. */
final class Accounts {
  private static final int ROUNDS = 100_000;
  private static final int HASH_BYTES = 32;
  private static final Row NOBODY = new Row(null, "00".repeat(16), "00".repeat(HASH_BYTES));

  private final Telemetry telemetry;
  private final DataSource database;

  private record Row(Account account, String salt, String hash) {}

  Accounts(Telemetry telemetry, DataSource database) {
    this.telemetry = telemetry;
    this.database = database;
  }

  /** auth.login: the account that name and password belong to. */
  Account logIn(Request request, String name, String password) throws Exception {
    Attributes known =
        telemetry.from(request.exchange).put(AUTH_METHOD, "password").putAll(telemetry.person(name)).build();
    return telemetry.check("auth.login", known, span -> {
      Row row = find(name.toLowerCase(Locale.ROOT));
      Account account = row.account();
      if (account != null) {
        span.setAttribute(USER_ID, account.id()).setAttribute(USER_ROLES, List.of(account.role()));
      }
      // Hashed for nobody as well: how long an answer takes must not tell which names exist. Nor must its words.
      boolean same = MessageDigest.isEqual(hash(password, row.salt()), HexFormat.of().parseHex(row.hash()));
      if (account == null) {
        throw new Refusal("unknown_user", 401, "invalid_credentials");
      }
      if (!same) {
        throw new Refusal("invalid_credentials", 401);
      }
      return account;
    });
  }

  private Row find(String name) throws SQLException {
    String query = "SELECT id, role, customer, password_salt, password_hash FROM accounts WHERE name = ?";
    try (Connection connection = database.getConnection();
        PreparedStatement statement = connection.prepareStatement(query)) {
      statement.setString(1, name);
      try (ResultSet rows = statement.executeQuery()) {
        if (!rows.next()) {
          return NOBODY;
        }
        Account account = new Account(rows.getString("id"), rows.getString("role"), rows.getString("customer"));
        return new Row(account, rows.getString("password_salt"), rows.getString("password_hash"));
      }
    }
  }

  private static byte[] hash(String password, String salt) throws GeneralSecurityException {
    PBEKeySpec spec = new PBEKeySpec(password.toCharArray(), HexFormat.of().parseHex(salt), ROUNDS, HASH_BYTES * 8);
    return SecretKeyFactory.getInstance("PBKDF2WithHmacSHA256").generateSecret(spec).getEncoded();
  }
}
