package shop;

import java.net.URI;
import javax.sql.DataSource;
import org.postgresql.ds.PGSimpleDataSource;

/** The database at a URL of the form postgresql://user:password@host:port/name. */
final class Database {
  private Database() {}

  /** Connects anew for each use; put a pool (HikariCP) in its place where there is more to do. */
  static DataSource at(String url) {
    URI parts = URI.create(url);
    String[] user = parts.getUserInfo().split(":", 2);
    PGSimpleDataSource source = new PGSimpleDataSource();
    source.setUrl("jdbc:postgresql://" + parts.getHost() + ":" + parts.getPort() + parts.getPath());
    source.setUser(user[0]);
    source.setPassword(user.length > 1 ? user[1] : "");
    return source;
  }
}
