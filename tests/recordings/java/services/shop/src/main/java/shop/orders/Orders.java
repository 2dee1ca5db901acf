package shop.orders;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.springframework.context.annotation.Profile;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Repository;
import org.springframework.transaction.annotation.Transactional;

/** The rows; the database shows and takes those of the tenant named for the transaction. */
@Repository
@Profile("orders")
@Transactional
class Orders {
    private final JdbcClient database;

    Orders(JdbcClient database) {
        this.database = database;
    }

    Optional<Map<String, Object>> find(int id, String tenant) {
        actFor(tenant);
        return database.sql("SELECT id, item FROM orders WHERE id = ?").param(id).query().listOfRows().stream().findFirst();
    }

    List<Map<String, Object>> all(String tenant) {
        actFor(tenant);
        return database.sql("SELECT id, item FROM orders").query().listOfRows();
    }

    void add(String owner, String item, String tenant) {
        actFor(tenant);
        database.sql("INSERT INTO orders (tenant, item) VALUES (?, ?)").params(owner, item).update();
    }

    void delete(int id, String tenant) {
        actFor(tenant);
        database.sql("DELETE FROM orders WHERE id = ?").param(id).update();
    }

    void reserve(int id, String state) {
        database.sql("INSERT INTO reservations (order_id, state) VALUES (?, ?)").params(id, state).update();
    }

    Map<String, Object> ledger() {
        return database.sql("SELECT total FROM ledger").query().singleRow();
    }

    private void actFor(String tenant) {
        database.sql("SELECT set_config('app.tenant', ?, true)").param(tenant).query().singleValue();
    }
}
