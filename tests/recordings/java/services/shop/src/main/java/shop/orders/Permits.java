package shop.orders;

import org.springframework.context.annotation.Profile;
import org.springframework.security.access.prepost.PreAuthorize;
import org.springframework.stereotype.Service;

/** Who may do what with an order: each method asks and does little else. */
@Service
@Profile("orders")
class Permits {
    @PreAuthorize("hasRole('CASHIER')")
    public void toReturn(int id) {}

    @PreAuthorize("hasRole('MANAGER')")
    public int margin(int id) {
        return 12;
    }

    @PreAuthorize("hasRole('MANAGER')")
    public void toApprove(int id) {}

    /** Orders from 100 on belong to another branch. */
    @PreAuthorize("#id < 100")
    public void toCancel(int id) {}
}
